/**
 * The one shape of an error that crosses a boundary between Workers, between objects, or to a client.
 * Whoever knows the cause decides the code, the HTTP status and whether another try can help; nobody downstream guesses.
 */
export interface ServiceFailure {
  /** Machine-readable reason, also the `code` an HTTP client sees. */
  readonly code: FailureCode;
  /** HTTP status a client would see for this failure. */
  readonly status: number;
  /** For people: names the field or resource, the rule and the value. Never holds a prompt, a key or a stack. */
  readonly message: string;
  /** The request field at fault, where there is one (`messages[0].role`). */
  readonly param?: string;
  /** True when the same request may succeed later or elsewhere. */
  readonly retryable: boolean;
  /** Seconds a client should wait before it tries again (`Retry-After`). */
  readonly retryAfterSeconds?: number;
}

export type FailureCode =
  | "invalid_request"
  | "unknown_field"
  | "unsupported_field"
  | "context_length_exceeded"
  | "invalid_api_key"
  /** A message of a pool's node whose signature, time or nonce is not valid. */
  | "invalid_node_credential"
  | "model_not_found"
  | "not_found"
  | "method_not_allowed"
  | "payload_too_large"
  | "unsupported_media_type"
  | "overloaded"
  | "engine_unavailable"
  /** The pool of backends, which plans where requests run. */
  | "pool_unavailable"
  | "session_unavailable"
  | "assets_unavailable"
  | "model_invalid"
  /** A state that does not belong here or is not valid: starting without it helps. */
  | "state_rejected"
  /** A backend had to give up a state it was handed: starting again from the file helps. */
  | "state_lost"
  | "stream_not_found"
  | "session_not_found"
  | "context_not_found"
  | "share_not_found"
  | "response_not_found"
  | "conversation_not_found"
  | "snapshot_invalid"
  | "snapshot_sealed"
  | "conflict"
  | "quota_exceeded"
  | "cancelled"
  /** A variable of a Worker that breaks its rule: whoever runs the service must change it. */
  | "configuration_invalid"
  /** The file that something is kept in is damaged; the message names it and says what can be done. */
  | "storage_corrupt"
  | "internal_error";

/** A {@link ServiceFailure} that can be thrown. Errors lose their class over RPC, so boundaries pass `failure` and never the Error. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly failure: ServiceFailure;

  constructor(failure: ServiceFailure, options?: ErrorOptions) {
    super(failure.message, options);
    this.failure = failure;
  }
}
