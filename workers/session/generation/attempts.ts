/**
 * One choice's events, over as many attempts as it takes: when a backend dies, the next attempt starts from the same state and the tokens
 * sampled so far, and goes on with the very tokens that the first would have had.
 */
import { fromPool } from "../calls.ts";
import { missingAbility } from "../../contracts/request/missing-ability.ts";
import type { ModelVersion } from "../../contracts/model-version.ts";
import type { Outcome } from "../../contracts/outcome.ts";
import type { CacheReport } from "../../contracts/cache-report.ts";
import type { Ability } from "../../contracts/abilities.ts";
import type { Job } from "../../contracts/choice.ts";
import type { GenerateEvent, GenerateRequest, StateSource, TokenUsage } from "../../contracts/engine.ts";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import { decodeEventBatches } from "../../contracts/event-stream.ts";
import type { Placed, PlacedStream } from "../../contracts/pool.ts";
import type { AnswerEvent, PromptUsage } from "./answer-event.ts";
import { pageTokens } from "../../state-file/page.ts";
import type { StoredSnapshot } from "../snapshots/contract.ts";
import type { States, Start } from "./start.ts";
import type { Meter } from "./meter.ts";
import type { AskPool } from "./pool.ts";
import { StateOpening } from "./state-opening.ts";
import { StateReceiver } from "./state-receiver.ts";
import { pause } from "../../waiting/within.ts";

/** Attempts in a row that bring no new token before the answer fails. */
const mostFruitlessAttempts = 4;
const firstPauseMilliseconds = 20;

export type AttemptEvent =
  | AnswerEvent
  | { readonly type: "start"; readonly usage: PromptUsage }
  /** Where the attempt that begins runs. */
  | { readonly type: "placed"; readonly placed: Placed };

type AttemptBatches = AsyncGenerator<Iterable<AttemptEvent>, void, undefined>;

/** What a backend sends of an answer itself. */
type AnswerPart = AnswerEvent | Extract<GenerateEvent, { readonly type: "restored" }>;
type StatePart = Extract<GenerateEvent, { readonly type: "state" | "saved" | "unsaved" }>;

const isOfState = (event: GenerateEvent): event is StatePart =>
  event.type === "state" || event.type === "saved" || event.type === "unsaved";

export interface AttemptOptions {
  readonly askPool: AskPool;
  readonly model: ModelVersion;
  readonly job: Job;
  readonly states: States;
  /** What the model's backends can, which says whether one goes on with an answer that an earlier attempt has begun. */
  readonly abilities: readonly Ability[];
  readonly meter: Meter;
  readonly signal: AbortSignal;
  /** Ids that an earlier life of this generation has sampled. */
  readonly sampled: readonly number[];
  readonly onRetry: (failure: ServiceFailure, sampled: number) => void;
}

export class Attempts {
  readonly #options: AttemptOptions;
  readonly #sampled: number[];
  readonly #states: StateReceiver;
  #start: Start | undefined;
  #stream: ReadableStream<Uint8Array> | undefined;
  #placed: Placed | undefined;
  /** Where the backend took no state: how many tokens it reads in its place. */
  #reread: number | undefined;
  readonly #failedAt = new Set<string>();
  #promptReported = false;
  #fruitless = 0;

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.#sampled = [...options.sampled];
    this.#states = new StateReceiver(async (tokens, bytes) => {
      this.#start ??= await options.states.start();
      return await options.states.put(this.#start, tokens, this.#sampled, bytes);
    });
  }

  /** How the state was found that it starts from; undefined before it does. */
  get report(): CacheReport | undefined {
    if (this.#start === undefined || this.#reread === undefined) return this.#start?.report;
    return { outcome: "rejected", tokens: 0, reason: "the backend moves no states, so all of the text is read" };
  }

  /** Where the newest attempt runs, or has run. */
  get placed(): Placed | undefined {
    return this.#placed;
  }

  /** The state at the answer's end, once its file is in the store; null where none was kept. */
  async saved(): Promise<StoredSnapshot | null> {
    return await this.#states.last();
  }

  /** Opens the first attempt. @throws ServiceError when the backend refuses it, and another try would not help here. */
  async begin(): Promise<void> {
    this.#stream = await this.#opened();
  }

  /** Lets go of a first attempt that nobody will read. */
  async discard(): Promise<void> {
    await this.#stream?.cancel("the request was refused").catch(() => undefined);
    this.#stream = undefined;
  }

  /** Those together that came together. What is not taken of them, because the answer ends before it, counts as nothing. */
  async *events(): AttemptBatches {
    this.#start ??= await this.#options.states.start();
    // A later life of the same answer tells what its first one found.
    if (this.#sampled.length === 0) yield [this.#started(this.#start)];
    while (!this.#options.signal.aborted) {
      try {
        const stream = this.#stream ?? (await this.#opened());
        this.#stream = undefined;
        yield* this.#placement(stream);
        yield* this.#read(stream);
        return;
      } catch (cause) {
        if (!(cause instanceof ServiceError)) throw cause;
        if (yield* this.#goOn(cause.failure)) continue;
        throw cause;
      }
    }
  }

  /** Tells where the attempt runs; a reader that leaves here lets go of it. */
  *#placement(stream: ReadableStream<Uint8Array>): Generator<readonly AttemptEvent[], void, undefined> {
    let stays = false;
    try {
      if (this.#placed !== undefined) yield [{ type: "placed", placed: this.#placed }];
      if (this.#reread !== undefined && this.#start !== undefined && this.#sampled.length === 0)
        yield [{ type: "start", usage: { ...usageOf(this.#start), cachedTokens: 0 } }];
      stays = true;
    } finally {
      if (!stays) void stream.cancel("nobody reads the answer").catch(() => undefined);
    }
  }

  /** Reads one attempt to its end. @throws ServiceError when it fails before the answer is whole. */
  async *#read(stream: ReadableStream<Uint8Array>): AttemptBatches {
    const { signal, states } = this.#options;
    for await (const events of decodeEventBatches(stream, signal, { afterFinish: states.keeps?.end === true })) {
      let answer: AnswerPart[] = [];
      for (const event of events) {
        if (!isOfState(event) && event.type !== "error") {
          answer.push(event);
          continue;
        }
        if (answer.length > 0) yield this.#answerEvents(answer);
        answer = [];
        if (event.type !== "error") await this.#states.receive(event);
        else {
          await this.#states.abort(event.failure.message);
          throw new ServiceError(event.failure);
        }
      }
      if (answer.length > 0) yield this.#answerEvents(answer);
    }
  }

  *#answerEvents(parts: readonly AnswerPart[]): Generator<AttemptEvent, void, undefined> {
    for (const part of parts) {
      if (part.type === "finish") yield* this.#takenOf(part.usage);
      const event = this.#answerEvent(part);
      if (event !== undefined) yield event;
    }
  }

  /** A backend may have read again what it was given as a state, which it says at its end. */
  *#takenOf({ cachedTokens }: TokenUsage): Generator<AttemptEvent, void, undefined> {
    const start = this.#start;
    if (start === undefined || this.#reread !== undefined || cachedTokens >= start.tokens) return;
    this.#options.meter.notCached(start.tokens - cachedTokens);
    yield { type: "start", usage: { ...usageOf(start), cachedTokens } };
  }

  #answerEvent(event: AnswerPart): AnswerEvent | undefined {
    if (event.type === "prompt") {
      if (this.#promptReported) return undefined;
      this.#promptReported = true;
    } else if (event.type === "token") {
      this.#fruitless = 0;
      this.#sampled.push(event.id);
      this.#options.meter.sampled();
    }
    return event.type === "restored" ? undefined : event;
  }

  /** Prepares another attempt, where that can help. */
  async *#goOn(failure: ServiceFailure): AsyncGenerator<readonly AttemptEvent[], boolean, undefined> {
    const { signal, states, onRetry } = this.#options;
    if (signal.aborted || !failure.retryable || this.#start === undefined || !this.#canBegin()) return false;
    if (++this.#fruitless > mostFruitlessAttempts) return false;
    onRetry(failure, this.#sampled.length);
    // A state that can't be used says nothing against the backend that found it out.
    if (this.#placed !== undefined && failure.code !== "state_rejected" && failure.code !== "state_lost")
      this.#failedAt.add(this.#placed.backend);
    if (failure.code === "state_rejected") {
      this.#start = await states.without(this.#start, "the engine refused the state");
      if (this.#sampled.length === 0) yield [this.#started(this.#start)];
    } else await pause(firstPauseMilliseconds * 4 ** (this.#fruitless - 1));
    return true;
  }

  #started(start: Start): AttemptEvent {
    return { type: "start", usage: usageOf(start) };
  }

  /** The next attempt's stream; a state that can't be had is done without. */
  async #opened(): Promise<ReadableStream<Uint8Array>> {
    const { meter } = this.#options;
    if (!this.#canBegin()) throw new ServiceError(notContinued());
    while (true) {
      const start = (this.#start ??= await this.#options.states.start());
      const outcome = await this.#run(start);
      if (outcome.ok) {
        this.#placed = outcome.value.placed;
        this.#reread = outcome.value.reread;
        if (this.#reread !== undefined) meter.attempt(this.#reread, 0);
        else meter.attempt(start.prompt.length + this.#sampled.length, start.tokens);
        return outcome.value.events;
      }
      const { failure } = outcome;
      if (failure.param === "continued") throw new ServiceError(notContinued());
      if (start.snapshot === null || failure.code !== "state_rejected") throw new ServiceError(failure);
      this.#start = await this.#options.states.without(start, failure.message);
    }
  }

  /** Whether another attempt would be the same answer. */
  #canBegin(): boolean {
    const { job, abilities } = this.#options;
    const continued = this.#sampled.length;
    return continued === 0 || missingAbility({ ...job.request, continued }, abilities)?.ability !== "continued";
  }

  async #run(start: Start): Promise<Outcome<PlacedStream>> {
    const { askPool, job, states, signal } = this.#options;
    const state =
      start.snapshot === null
        ? undefined
        : new StateOpening(
            (fromPage) => states.open(start, fromPage),
            () => states.tokens(start),
          );
    try {
      const request = this.#request(start, state?.reference);
      const askedFor = { beginning: job.request.prompt, avoid: [...this.#failedAt], ranAt: this.#placed?.backend ?? null, signal };
      return { ok: true, value: await fromPool(askPool(request, askedFor)) };
    } catch (cause) {
      if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
      throw cause;
    } finally {
      await state?.discard();
    }
  }

  #request(start: Start, state: StateSource | undefined): GenerateRequest {
    const { job, states, model } = this.#options;
    const sampled = this.#sampled;
    const { keeps } = states;
    const at = (keeps?.at ?? []).filter((tokens) => tokens > start.tokens);
    return {
      ...job.request,
      model,
      prompt: sampled.length === 0 ? start.prompt : Uint32Array.from([...start.prompt, ...sampled]),
      maxTokens: job.request.maxTokens - sampled.length,
      ...(sampled.length === 0 ? {} : { continued: sampled.length }),
      ...(this.#promptReported ? { promptLogprobs: null } : {}),
      ...(state === undefined ? {} : { resume: { tokens: start.tokens, state, seen: start.seen } }),
      ...(keeps === null || (at.length === 0 && !keeps.end)
        ? {}
        : { save: { at, end: keeps.end, fromPage: start.snapshot === null ? 0 : Math.floor(start.tokens / pageTokens) } }),
    };
  }
}

function usageOf({ tokens, prompt }: Start): PromptUsage {
  return { promptTokens: tokens + prompt.length, cachedTokens: tokens };
}

function notContinued(): ServiceFailure {
  const message = "The answer was cut off, and the model's backend can't go on with one that has begun.";
  return { code: "engine_unavailable", status: 502, message, retryable: true };
}
