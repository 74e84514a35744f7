/** What a constraint leaves of the choice of one answer's next token, as the engine's sequence is told it. */
import type { GrammarService, GrammarStep } from "../contracts/constraint.ts";
import { ServiceError, type ServiceFailure } from "../contracts/errors.ts";
import type { OpenedRequest } from "../contracts/request/open-state.ts";
import type { ComputingEngine } from "./engine-surface.ts";
import { HeldText } from "./held-text.ts";

export interface ConstrainedHost {
  readonly grammar: GrammarService;
  readonly vocabularySize: number;
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** The next step is known, or there will be none. */
  onSaid(): void;
}

export class ConstrainedAnswer {
  readonly #engine: ComputingEngine;
  readonly #request: OpenedRequest;
  readonly #vocabularySize: number;
  readonly #text: HeldText;
  /** Whether forced tokens are read without a choice; where something is told of each token, each is chosen as the only one that may come. */
  readonly #readsForced: boolean;
  #step: GrammarStep | undefined;
  #failure: ServiceFailure | undefined;
  /** Forced tokens of the step that have not been chosen. */
  #due: number[] = [];

  constructor(engine: ComputingEngine, request: OpenedRequest, host: ConstrainedHost) {
    this.#engine = engine;
    this.#request = request;
    this.#vocabularySize = host.vocabularySize;
    const { allowedTokens, bannedSeries = [], topLogprobs, countSpikes, reportState } = request;
    const hasRules = allowedTokens !== undefined || bannedSeries.length > 0;
    this.#readsForced = !hasRules && topLogprobs === null && countSpikes !== true && reportState !== true;
    this.#text = new HeldText(host.grammar, orderOf(request, host.vocabularySize), {
      sleep: host.sleep,
      onSaid: (said) => {
        if (said.ok) {
          this.#step = said.value;
          this.#due = [...said.value.forced];
        } else this.#failure = said.failure;
        host.onSaid();
      },
    });
    this.#text.open();
  }

  /** Whether it is known what may come next. @throws ServiceError where it never will be */
  get isKnown(): boolean {
    if (this.#failure !== undefined) throw new ServiceError(this.#failure);
    return this.#step !== undefined;
  }

  /** Whether the text is whole, and nothing may follow; once the forced tokens that have been taken are out. */
  get isWhole(): boolean {
    return this.#step?.mask === null && this.#due.length === 0;
  }

  /** Tokens that follow without a choice, at most so many, which the sequence is given to read. */
  takeForced(handle: number, most: number): readonly number[] {
    if (!this.#readsForced) return [];
    const forced = this.#due.splice(0, most);
    if (forced.length > 0) this.#engine.force(handle, Uint32Array.from(forced));
    return forced;
  }

  /** Tells the sequence what may be chosen next. */
  mask(handle: number): void {
    this.#engine.setMask(handle, this.#mask());
  }

  /** A token has been chosen. */
  chosen(token: number): void {
    if (this.#due.length > 0) {
      this.#due.shift();
      return;
    }
    this.#step = undefined;
    this.#text.accept(token);
  }

  close(): void {
    this.#text.close();
  }

  #mask(): Uint8Array {
    const [only] = this.#due;
    const mask = only === undefined ? (this.#step?.mask ?? undefined)?.slice() : undefined;
    const allowed = mask ?? new Uint8Array(Math.ceil(this.#vocabularySize / 8));
    if (only !== undefined) allow(allowed, only);
    else if (this.#step?.mayEnd === true) for (const token of this.#request.stopTokens) allow(allowed, token);
    return allowed;
  }
}

function allow(mask: Uint8Array, token: number): void {
  mask[token >> 3] = (mask[token >> 3] ?? 0) | (1 << (token & 7));
}

function orderOf({ constraint, model, prompt, continued = 0 }: OpenedRequest, vocabularySize: number) {
  if (constraint === undefined) throw new Error("the request has no constraint");
  const { id, tokenizerDigest } = model;
  return { constraint, model: id, tokenizerDigest, vocabularySize, tokens: prompt.slice(prompt.length - continued) };
}
