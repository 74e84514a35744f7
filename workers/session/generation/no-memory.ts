/** The memory of a request that has none: without a tenant nothing is found and nothing is kept. */
import { coldStart, type Memory } from "./start.ts";

export function noMemory(prompt: Uint32Array, reason: string): Memory {
  const cold = coldStart(prompt, "miss", reason);
  return {
    keeps: null,
    start: () => Promise.resolve(cold),
    open: () => Promise.reject(new Error("there is no state")),
    without: () => Promise.resolve(cold),
    put: () => Promise.resolve(null),
  };
}
