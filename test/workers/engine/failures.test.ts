/** What callers may know of whatever is thrown in the engine. */
import { expect, it } from "vitest";
import { ServiceError, type ServiceFailure } from "../../../workers/contracts/errors.ts";
import { failureOf, stateLost } from "../../../workers/engine/failures.ts";

it.each<[string, unknown, ServiceFailure["code"]]>([
  ["a failure of the engine's own", new ServiceError(stateLost()), "state_lost"],
  ["a mistake in code", new TypeError("this.engine is undefined"), "internal_error"],
  ["a number out of its range", new RangeError("invalid array length"), "internal_error"],
  ["a WebAssembly trap", new WebAssembly.RuntimeError("unreachable"), "engine_unavailable"],
  ["anything else", new Error("Network connection lost."), "engine_unavailable"],
  ["what is no error", "thrown", "engine_unavailable"],
])("%s", (_name, thrown, code) => {
  const failure = failureOf(thrown);
  expect(failure.code).toBe(code);
  if (!(thrown instanceof ServiceError)) expect(failure.message).not.toContain(thrown instanceof Error ? thrown.message : "thrown");
});
