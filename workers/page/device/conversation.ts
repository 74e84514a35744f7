/** What the engine here remembers of a conversation: what a session of the server's holds, under the web page's name for it. */
import type { TurnFinish } from "../../contracts/finish.ts";
import type { DeviceMessage } from "./protocol.ts";

export interface RememberedTurn {
  /** From 1; a document in front of the first has 0. */
  readonly number: number;
  /** What was added, and last the answer. */
  readonly messages: readonly DeviceMessage[];
  /** Of the conversation, up to the turn's end. */
  readonly tokens: number;
  readonly finish: TurnFinish;
  /** Unix seconds. */
  readonly created: number;
}

/** A state file, and how many of the conversation's tokens it has read. */
export interface RememberedState {
  readonly tokens: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface Remembered {
  /** The conversation's, with the page. */
  readonly id: string;
  /** Digests of weights and tokenizer that its tokens and states belong to. */
  readonly model: string;
  readonly tokenizer: string;
  readonly turns: readonly RememberedTurn[];
  /** What it begins with, as its session file says it: of no use here, and kept for the server as JSON, which keeps the digits of numbers. Older ones are objects. */
  readonly opening?: unknown;
  readonly tokens: Uint32Array<ArrayBuffer>;
  /** At turns' ends, the latest last. */
  readonly states: readonly RememberedState[];
  /** Unix milliseconds. */
  readonly updated: number;
}

/** The last turn may be answered again without reading what came before it. */
const mostStates = 2;

/** Where the next turn goes on. */
export interface TurnStart {
  readonly turns: readonly RememberedTurn[];
  /** Those of the turns. */
  readonly tokens: Uint32Array<ArrayBuffer>;
  /** The newest of them that have read no more; undefined where there is none. */
  readonly state: RememberedState | undefined;
  /** What is said since. */
  readonly added: readonly DeviceMessage[];
}

/**
 * As many turns as the whole conversation, as the page has it now, begins with: what was edited, or answered again, is none of them any more.
 * `messages` end with what is to be answered.
 */
export function startOf(remembered: Remembered | undefined, messages: readonly DeviceMessage[]): TurnStart {
  const { turns = [], tokens = new Uint32Array(), states = [] } = remembered ?? {};
  const document = turns.filter(({ number }) => number === 0);
  // A document stands in the system prompt's place.
  const asked = document.length === 0 ? messages : messages.filter(({ role }) => role !== "system");
  let count = document.length;
  let at = 0;
  for (const turn of turns.slice(document.length)) {
    const said = turn.messages.filter(({ role, content }) => role !== "assistant" || content !== "");
    if (!said.every((message, index) => isSame(message, asked[at + index]))) break;
    at += said.length;
    count += 1;
  }
  const left = asked.slice(at);
  // An answer that the engine does not have as its own can only be read, in the conversation's first prompt.
  const isForeign = left.some(({ role }) => role === "assistant");
  const kept = turns.slice(0, isForeign ? document.length : count);
  const added = !isForeign ? left : document.length === 0 ? asked : asked.filter(({ role }) => role === "user");
  const end = kept.at(-1)?.tokens ?? 0;
  return { turns: kept, tokens: tokens.slice(0, end), state: states.findLast((one) => one.tokens <= end && one.tokens > 0), added };
}

/** The states that are still worth keeping, with one that is new. */
export function withState(states: readonly RememberedState[], end: number, state: RememberedState | undefined): RememberedState[] {
  const before = states.filter(({ tokens }) => tokens < (state?.tokens ?? end + 1));
  return [...before, ...(state === undefined ? [] : [state])].slice(-mostStates);
}

const isSame = (left: DeviceMessage, right: DeviceMessage | undefined) => left.role === right?.role && left.content === right.content;
