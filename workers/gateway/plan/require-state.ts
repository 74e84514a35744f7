/** A request that asks for the state's figures needs a backend that knows them. */
import type { ModelDescription } from "../../contracts/engine.ts";
import { unsupportedField } from "../failures.ts";

export function requireState({ state }: ModelDescription): void {
  if (state === undefined)
    throw unsupportedField("state", "'state' cannot be reported: the backend does not say what a conversation takes.");
}
