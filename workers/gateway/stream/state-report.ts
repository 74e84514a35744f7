/** What an answer says of the conversation's state, where it was asked: in every chunk, and over all choices in the usage. */
import type { StateReport } from "../../contracts/state.ts";

/** What a chunk says of the state so far. */
export function liveState(state: StateReport | undefined): { readonly state?: StateReport } {
  return state === undefined ? {} : { state: { tokens: state.tokens, bytes: state.bytes } };
}

export function addStates(one: StateReport, other: StateReport | undefined): StateReport {
  return other === undefined ? one : { tokens: one.tokens + other.tokens, bytes: one.bytes + other.bytes };
}
