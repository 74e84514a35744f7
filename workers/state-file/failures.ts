/** What is wrong with a state file. */
import type { ServiceFailure } from "../contracts/errors.ts";

export function snapshotInvalid(message: string): ServiceFailure {
  return { code: "snapshot_invalid", status: 400, message, retryable: false };
}
