/** Constructors for the failures that the pool Worker itself decides. */
import { brokenAnswer } from "../contracts/call.ts";
import type { ServiceFailure } from "../contracts/errors.ts";

const millisecondsPerSecond = 1_000;

/** A backend that did not do something in time: `what` completes "the backend". */
export function tooSlow(what: string, milliseconds: number): ServiceFailure {
  return brokenAnswer("engine", `the backend ${what} within ${String(milliseconds / millisecondsPerSecond)} seconds`);
}
