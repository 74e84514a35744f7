/** One answer as it comes from a replica, held to what was asked: every id, count, log-probability and end is checked before it goes on. */
import type { GenerateEvent, GenerateRequest, ModelDescription, TokenLogprob } from "../../contracts/engine.ts";
import { endedEarly, malformed } from "./failures.ts";

/** A part of an answer, in whatever form a replica sent it. */
export interface AnswerPart {
  readonly ids: readonly number[];
  /** One of each id, where log-probabilities came. */
  readonly scores: readonly TokenLogprob[] | null;
  /** Why the replica has ended, in its own word; null while it goes on. */
  readonly finish: string | null;
  /** The stop token, where the replica names it. */
  readonly stopToken: number | null;
  readonly usage: ReplicaUsage | null;
}

export interface ReplicaUsage {
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

export interface AnswerOrder {
  readonly request: Pick<
    GenerateRequest,
    "maxTokens" | "minTokens" | "stopTokens" | "topLogprobs" | "scoredTokens" | "constraint" | "continued"
  >;
  readonly model: Pick<ModelDescription, "vocabularySize">;
  /** Of the whole text before the answer. */
  readonly promptTokens: number;
  /** What the replica was asked for: more than the answer may have where the last one must be read, too, or where only the prompt is scored. */
  readonly askedTokens: number;
}

/** Rounding of a probability of 1. */
const aboveZero = 1e-3;

export class Answer {
  readonly #order: AnswerOrder;
  readonly #stopTokens: ReadonlySet<number>;
  /** Tokens that the replica has sampled. */
  #sampled: number[] = [];
  #finish: string | null = null;
  #stopToken: number | undefined;
  #usage: ReplicaUsage | null = null;

  constructor(order: AnswerOrder) {
    this.#order = order;
    this.#stopTokens = new Set(order.request.stopTokens);
  }

  /** Ids of the answer so far, without a stop token. */
  get tokens(): readonly number[] {
    return this.#sampled.slice(0, this.#order.request.maxTokens);
  }

  /** Whether a token has come that the answer has. */
  get hasBegun(): boolean {
    return this.#sampled.length > 0 && this.#order.request.maxTokens > 0;
  }

  /** @throws ServiceError where it cannot be a part of the answer. */
  *take({ ids, scores, finish, stopToken, usage }: AnswerPart): Generator<GenerateEvent, void, undefined> {
    if (usage !== null) this.#usage = this.#checked(usage);
    if (scores !== null && scores.length !== ids.length) throw malformed("it has not one log-probability for each token");
    for (const [at, id] of ids.entries()) {
      const event = this.#token(id, scores?.[at] ?? null);
      if (event !== undefined) yield event;
    }
    if (finish === null) return;
    if (this.#finish !== null) throw malformed("it ends twice");
    this.#finish = finish;
    if (stopToken !== null && this.#stopTokens.has(stopToken)) this.#stopToken ??= stopToken;
  }

  /** @throws ServiceError where the answer is not whole. */
  end(): Extract<GenerateEvent, { type: "finish" }> {
    const { promptTokens, askedTokens, request } = this.#order;
    if (this.#finish === null) throw endedEarly("its stream ended without a reason");
    if (this.#finish !== "stop" && this.#finish !== "length") throw endedEarly(plain(this.#finish));
    const stopped = this.#finish === "stop";
    // Held to a constraint, a text may be whole before a stop token comes.
    if (stopped && this.#stopToken === undefined && request.constraint === undefined)
      throw malformed("it ends by a stop that was not asked for");
    if (!stopped && (this.#stopToken !== undefined || this.#sampled.length !== askedTokens))
      throw malformed(`it ends by its length with ${String(this.#sampled.length)} tokens of ${String(askedTokens)}`);
    const completionTokens = Math.min(this.#sampled.length, request.maxTokens);
    // A stop that comes where the answer is over already is of the token that is only read.
    const isStop = stopped && this.#sampled.length < request.maxTokens;
    return {
      type: "finish",
      reason: isStop ? "stop" : "length",
      ...(isStop && this.#stopToken !== undefined ? { stopToken: this.#stopToken } : {}),
      usage: { promptTokens, completionTokens, cachedTokens: this.#usage?.cachedTokens ?? 0 },
    };
  }

  #token(id: number, score: TokenLogprob | null): GenerateEvent | undefined {
    const { request, model, askedTokens } = this.#order;
    const { maxTokens, minTokens, topLogprobs, scoredTokens, continued = 0 } = request;
    if (!Number.isInteger(id) || id < 0 || id >= model.vocabularySize) throw malformed("a token's id is outside the vocabulary");
    if (this.#finish !== null || this.#stopToken !== undefined) throw malformed("tokens follow its end");
    if (this.#stopTokens.has(id)) {
      if (continued + this.#sampled.length < Math.min(minTokens, continued + maxTokens)) throw malformed("a stop token comes too early");
      this.#stopToken = id;
      return undefined;
    }
    if (this.#sampled.push(id) > askedTokens) throw malformed(`it has more than the ${String(askedTokens)} tokens that were asked for`);
    if (this.#sampled.length > maxTokens) return undefined;
    if (topLogprobs === null && scoredTokens === undefined) return { type: "token", id };
    if (score === null) throw malformed("a token's log-probability is missing");
    if (scoredTokens !== undefined) return { type: "token", id, logprob: scoresOf(score, id, scoredTokens) };
    return { type: "token", id, logprob: checkedScore(score, id, model.vocabularySize, topLogprobs ?? 0) };
  }

  #checked({ promptTokens, cachedTokens }: ReplicaUsage): ReplicaUsage {
    const due = this.#order.promptTokens;
    if (promptTokens !== due) throw malformed(`it is of a prompt of ${String(promptTokens)} tokens; ${String(due)} were sent`);
    if (!Number.isInteger(cachedTokens) || cachedTokens < 0 || cachedTokens > due) throw malformed("its count of cached tokens cannot be");
    return { promptTokens, cachedTokens };
  }
}

/**
 * A score with its `alternatives` likeliest tokens, best first, of those that came in any order. @throws ServiceError where a number cannot be.
 */
export function checkedScore(score: TokenLogprob, id: number, vocabularySize: number, alternatives: number): TokenLogprob {
  if (score.id !== id) throw malformed("a log-probability is of another token");
  const top = score.top.toSorted(([, one], [, other]) => other - one).slice(0, Math.min(alternatives, vocabularySize));
  if (top.length < Math.min(alternatives, vocabularySize)) throw malformed("a token has too few alternatives");
  if (new Set(top.map(([token]) => token)).size !== top.length) throw malformed("an alternative comes twice");
  if (top.some(([token]) => !Number.isInteger(token) || token < 0 || token >= vocabularySize))
    throw malformed("an alternative is outside the vocabulary");
  return { id, logprob: checkedNumber(score.logprob), top: top.map(([token, logprob]) => [token, checkedNumber(logprob)] as const) };
}

/** A score with the tokens that were asked for, of those that came in any order. @throws ServiceError where one is missing. */
function scoresOf(score: TokenLogprob, id: number, scored: readonly number[]): TokenLogprob {
  if (score.id !== id) throw malformed("a log-probability is of another token");
  const told = new Map([...score.top, [score.id, score.logprob] as const]);
  const top = scored.map((token) => {
    const logprob = told.get(token);
    if (logprob === undefined) throw malformed("a token that was to be scored has no log-probability");
    return [token, checkedNumber(logprob)] as const;
  });
  return { id, logprob: checkedNumber(score.logprob), top };
}

function checkedNumber(logprob: number): number {
  if (!Number.isFinite(logprob) || logprob > aboveZero) throw malformed("a log-probability is not a number of at most 0");
  return Math.min(logprob, 0);
}

/** A replica's word for an end, where it is one. */
function plain(finish: string): string {
  return /^[a-z_]{1,32}$/.test(finish) ? `'${finish}'` : "for a reason that is no word";
}
