/** Every question starts from the state of the input, and leaves nothing behind. */
import { fromObject } from "../calls.ts";
import { coldStart, type Start, type States } from "../generation/start.ts";
import type { InputBase } from "./input-base.ts";

export function questionStates(base: InputBase, question: Uint32Array): States {
  const { tokens, snapshot, store, cache } = base;
  const rest = Uint32Array.from([...base.unread, ...question]);
  const whole = () => Uint32Array.from([...tokens, ...rest]);
  const start: Start =
    snapshot === null
      ? coldStart(whole(), "miss", cache.reason)
      : { tokens: tokens.length, prompt: rest, snapshot, seen: new Uint32Array(), report: { ...cache, tokens: tokens.length } };
  return {
    keeps: null,
    start: () => Promise.resolve(start),
    open: async (from, fromPage) => (await fromObject(store.open(from.snapshot ?? "", from.tokens, fromPage))).bytes,
    tokens: () => Promise.resolve(tokens.slice()),
    without: (_from, reason) => Promise.resolve(coldStart(whole(), "rejected", reason)),
    put: () => Promise.resolve(null),
  };
}
