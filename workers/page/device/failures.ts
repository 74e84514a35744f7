/** What goes wrong here, in the words of the protocol. */
import { ServiceError, type FailureCode } from "../../contracts/errors.ts";
import type { DeviceFailure, DeviceFailureKind } from "./protocol.ts";

export class DeviceError extends Error {
  override readonly name = "DeviceError";
  readonly failure: DeviceFailure;

  constructor(kind: DeviceFailureKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = { kind, message };
  }
}

export function failureOf(error: unknown): DeviceFailure {
  if (error instanceof DeviceError) return error.failure;
  if (error instanceof ServiceError) return { kind: kinds[error.failure.code] ?? "device", message: error.failure.message };
  // What a browser throws where a linear memory does not grow, and what the engine throws for it.
  if (error instanceof RangeError) return { kind: "memory", message: error.message };
  return { kind: "device", message: error instanceof Error ? error.message : String(error) };
}

const kinds: Readonly<Partial<Record<FailureCode, DeviceFailureKind>>> = {
  context_length_exceeded: "context",
  overloaded: "memory",
};
