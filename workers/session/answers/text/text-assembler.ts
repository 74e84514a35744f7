/**
 * Makes text from token ids: UTF-8-safe decoding, then stop strings. A token's log-probability leaves together with the last
 * of its text; a token that starts inside a stop string leaves with neither.
 */
import type { ScoredToken } from "../../../contracts/choice.ts";
import type { TokenLogprob } from "../../../contracts/engine.ts";
import type { StreamDecoder } from "../../../tokenizer/stream-decoder.ts";
import { codePoints } from "./code-points.ts";
import { StopStringMatcher } from "./stop-strings.ts";

interface QueuedToken {
  readonly scored: ScoredToken;
  readonly startUnit: number;
  readonly endUnit: number;
}

export interface AssembledText {
  readonly text: string;
  readonly tokens: readonly ScoredToken[];
}

export class TextAssembler {
  readonly #decoder: StreamDecoder;
  readonly #matcher: StopStringMatcher;
  readonly #minTokens: number;
  readonly #tellsTokens: boolean;
  #queue: QueuedToken[] = [];
  #count = 0;
  #decodedUnits = 0;
  #decodedPoints: number;
  #releasedUnits = 0;

  /**
   * `offset`: code points already in the choice's text (an echoed prompt). Stop strings count only after `minTokens`, as stop tokens do.
   * `tellsTokens`: whether tokens come with their text also where they have no log-probabilities.
   */
  constructor(decoder: StreamDecoder, stops: readonly string[], minTokens: number, offset: number, tellsTokens = false) {
    this.#decoder = decoder;
    this.#matcher = new StopStringMatcher(stops);
    this.#minTokens = minTokens;
    this.#decodedPoints = offset;
    this.#tellsTokens = tellsTokens;
  }

  /** Tokens pushed so far. */
  get count(): number {
    return this.#count;
  }

  /** Length of the text of all tokens so far, in UTF-16 code units. */
  get decodedUnits(): number {
    return this.#decodedUnits;
  }

  /** `stop`: the stop string that ends the text, where one does. */
  push(id: number, logprob: TokenLogprob | undefined): AssembledText & { readonly stop?: string } {
    this.#count++;
    const decoded = this.#decoder.push(id);
    this.#append(decoded, id, logprob);
    const { text, ...found } = this.#count <= this.#minTokens ? { text: decoded } : this.#matcher.push(decoded);
    return { ...this.#release(text, found.stop !== undefined), ...found };
  }

  /** The rest, once the model has ended: a cut-off character, and text that waited to become a stop string. */
  finish(): AssembledText & { readonly stop?: string } {
    const tail = this.#decoder.flush();
    this.#decodedUnits += tail.length;
    const last = this.#queue.at(-1);
    if (last !== undefined) this.#queue[this.#queue.length - 1] = { ...last, endUnit: this.#decodedUnits };
    const { text, ...found } = this.#matcher.push(tail);
    const rest = found.stop === undefined ? text + this.#matcher.flush() : text;
    return { ...this.#release(rest, found.stop !== undefined, true), ...found };
  }

  #append(decoded: string, id: number, logprob: TokenLogprob | undefined): void {
    const startUnit = this.#decodedUnits;
    this.#decodedUnits += decoded.length;
    if (logprob === undefined && !this.#tellsTokens) return;
    const scored = { id, logprob: logprob?.logprob ?? null, top: logprob?.top ?? null, offset: this.#decodedPoints };
    this.#queue.push({ scored, startUnit, endUnit: this.#decodedUnits });
    this.#decodedPoints += codePoints(decoded);
  }

  #release(text: string, stopped: boolean, last = false): AssembledText {
    this.#releasedUnits += text.length;
    if (text === "" && !stopped && !last) return { text, tokens: [] };
    const leaves = (token: QueuedToken) => (stopped ? token.startUnit < this.#releasedUnits : last || token.endUnit <= this.#releasedUnits);
    const tokens = this.#queue.filter(leaves).map((token) => token.scored);
    this.#queue = stopped ? [] : this.#queue.filter((token) => !leaves(token));
    return { text, tokens };
  }
}
