/** What is wrong with a session file, or with what one would hold. */
import { ServiceError } from "../contracts/errors.ts";

/** Another key or passphrase has sealed it, or it was changed. */
export function fileSealed(message: string): ServiceError {
  return new ServiceError({ code: "snapshot_sealed", status: 400, message, retryable: false });
}

export function fileTooLong(message: string): ServiceError {
  return new ServiceError({ code: "invalid_request", status: 400, message, retryable: false });
}
