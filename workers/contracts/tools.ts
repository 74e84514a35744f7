/** Functions that an answer may call, in the form that every endpoint's own words are turned into; their calls are {@link FunctionCall}. */
import type { FunctionCall, TranscriptMessage } from "./transcript.ts";

export interface FunctionTool {
  readonly name: string;
  readonly description?: string;
  /** A JSON schema of an object, which the arguments of every call fit. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** What a model is told of a function. */
export interface ToldFunction extends Omit<FunctionTool, "parameters"> {
  /** As JSON, which keeps the digits of its numbers between Workers and on a disk. */
  readonly parameters: string;
}

/** `auto`: text or calls, as the model likes; `required`: calls alone; a name: one call of that function. */
export type ToolChoice = "auto" | "required" | { readonly name: string };

/** What a request says of calls; one that allows none has nothing of this. */
export interface AskedTools {
  /** At least one, each of another name. */
  readonly functions: readonly FunctionTool[];
  readonly choice: ToolChoice;
  /** Whether an answer may have more than one call. */
  readonly parallel: boolean;
}

export interface UnmatchedResult {
  /** Which of the messages. */
  readonly at: number;
  /** Completes "must be the id of a call before it". */
  readonly why: string;
}

const shownCharacters = 60;

/**
 * The first message with what a function gave that answers no call before it, or one that has been answered. `open` are calls before all of them.
 */
export function unmatchedResult(messages: readonly TranscriptMessage[], open: readonly FunctionCall[] = []): UnmatchedResult | undefined {
  const calls = new Map(open.map(({ id }) => [id, false]));
  for (const [at, { role, calls: made = [], callId = "" }] of messages.entries()) {
    for (const { id } of made) calls.set(id, false);
    if (role !== "tool") continue;
    const isAnswered = calls.get(callId);
    const shown = callId.slice(0, shownCharacters).toWellFormed();
    if (isAnswered === undefined) return { at, why: `; there is none with the id '${shown}'` };
    if (isAnswered) return { at, why: ` that no other message answers; '${shown}' has been answered` };
    calls.set(callId, true);
  }
  return undefined;
}
