import { ServiceError } from "../contracts/errors.ts";

/** The model's own files are wrong or of a kind that is not served; no other request to this model will fare better. */
export function modelInvalid(message: string, options?: ErrorOptions): ServiceError {
  return new ServiceError({ code: "model_invalid", status: 500, message, retryable: false }, options);
}

export function invalidRequest(message: string, param?: string): ServiceError {
  return new ServiceError({ code: "invalid_request", status: 400, message, retryable: false, ...(param === undefined ? {} : { param }) });
}
