/** The states of a request that starts from none and keeps none: it has no tenant, its prompt is to be scored, or the model's backend takes none. */
import { coldStart, type States } from "./start.ts";

export function noStates(prompt: Uint32Array, reason: string): States {
  const cold = coldStart(prompt, "miss", reason);
  return {
    keeps: null,
    start: () => Promise.resolve(cold),
    open: () => Promise.reject(new Error("there is no state")),
    tokens: () => Promise.reject(new Error("there is no state")),
    without: () => Promise.resolve(cold),
    put: () => Promise.resolve(null),
  };
}
