/**
 * The states of a response that goes on from none: its beginning, which may be that of many others (their instructions), is found by its tokens as in
 * any prompt, and kept for them once it is asked for often; what its answer leaves is its session's alone.
 */
import type { PromptStates } from "./prompt-states.ts";
import type { States } from "./start.ts";

/** `promptTokens`: of all that is read before the answer. */
export function firstTurnStates(shared: PromptStates, own: States, promptTokens: number): States {
  return {
    get keeps() {
      return { at: shared.keeps.at, end: true };
    },
    start: () => shared.start(),
    open: (start, fromPage) => shared.open(start, fromPage),
    tokens: (start) => shared.tokens(start),
    without: (start, reason) => shared.without(start, reason),
    put: (start, tokens, answer, bytes) => (tokens < promptTokens ? shared : own).put(start, tokens, answer, bytes),
  };
}
