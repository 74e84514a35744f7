/** Constructors for the failures that the pool Worker itself decides. */
import type { ServiceFailure } from "../contracts/errors.ts";

/** A node's message that is not taken. */
export const registrationRefused = (message: string): ServiceFailure => ({
  code: "invalid_request",
  status: 403,
  message: `The replica is not registered: ${message}.`,
  retryable: false,
});
