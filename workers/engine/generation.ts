/** One request being served: its sequence in the engine, what it has produced, and the stream that its reader holds. */
import type { GenerateRequest, TokenLogprob } from "../contracts/engine.ts";
import type { ServiceFailure } from "../contracts/errors.ts";
import type { SpikeCounts, SpikesByLayer } from "../contracts/spikes.ts";
import type { Engine } from "./engine-surface.ts";
import type { StateReport } from "../contracts/state.ts";
import { EventSink, type SinkEvents } from "./event-sink.ts";
import type { PlanEntry } from "./step-plan.ts";

/** What `Engine.sample` prints. */
interface Sample {
  readonly id: number;
  readonly stop: boolean;
  readonly logprob?: TokenLogprob;
}

/** While a prompt is read, its reader hears of it so often: every few seconds on a slow machine. */
const tokensBetweenReports = 256;

export class Generation {
  readonly request: GenerateRequest;
  readonly sink: EventSink;
  /** When it began to wait for memory; clock of the scheduler. */
  waitingSince: number;
  /** When its reader stopped keeping up; undefined while it does. */
  stalledSince: number | undefined;
  /** Evictions since the last token it produced. */
  fruitlessEvictions = 0;

  readonly #engine: Engine;
  /** The engine's sequence; undefined while it waits and holds no memory. */
  #handle: number | undefined;
  /** Kept while evicted, because its sampler goes on where it was. */
  #evicted = false;
  #generated = 0;
  #promptLogprobs: (TokenLogprob | null)[] = [];
  #promptReported = false;
  #reportedAt = 0;

  constructor(engine: Engine, request: GenerateRequest, events: SinkEvents, now: number) {
    this.#engine = engine;
    this.request = request;
    this.sink = new EventSink(events);
    this.waitingSince = now;
  }

  /** Tokens its state holds once everything known so far is read. */
  get tokens(): number {
    return this.request.prompt.length + this.#generated;
  }

  /** Tokens its state should have room for before it runs: what is known and a little growth. */
  tokensWithGrowth(growth: number): number {
    return this.tokens + Math.min(growth, this.request.maxTokens - this.#generated);
  }

  get stateBytes(): number {
    return this.#handle === undefined || this.#evicted ? 0 : this.#engine.sequenceBytes(this.#handle);
  }

  get planEntry(): PlanEntry | undefined {
    if (this.#handle === undefined || this.#evicted) return undefined;
    const pending = this.#engine.pending(this.#handle);
    return { handle: this.#handle, pending, position: this.tokens - pending };
  }

  /** Takes a place in the engine: a new sequence, or the evicted one again. */
  start(): void {
    this.#evicted = false;
    if (this.#handle !== undefined) return;
    const { sampling, minTokens, stopTokens, topLogprobs, promptLogprobs, prompt, countSpikes = false } = this.request;
    this.#handle = this.#engine.open(JSON.stringify({ sampling, minTokens, stopTokens, topLogprobs, promptLogprobs, countSpikes }));
    this.#engine.feed(this.#handle, prompt);
  }

  /** Gives the state's memory back, to be read again later. Before the first token a new sequence is the same as the old one. */
  evict(): void {
    this.fruitlessEvictions += 1;
    if (this.#handle === undefined) return;
    if (this.#generated === 0) {
      this.#promptLogprobs = [];
      this.#promptReported = false;
      this.release();
    } else {
      this.#engine.evict(this.#handle);
      this.#evicted = true;
    }
  }

  /** After a step: reports what it brought. True when a token was sampled. */
  advance(): boolean {
    if (this.#handle === undefined || this.sink.closed) return false;
    this.#collectPromptLogprobs(this.#handle);
    if (this.#engine.pending(this.#handle) > 0) {
      this.#reportReading(this.#handle);
      return false;
    }
    if (this.request.promptLogprobs !== null && !this.#promptReported) {
      this.#promptReported = true;
      this.sink.send({ type: "prompt", logprobs: this.#promptLogprobs });
      this.#promptLogprobs = [];
    }
    if (this.request.maxTokens === 0) {
      this.#finish(this.#handle, "length");
      return false;
    }
    this.#sample(this.#handle);
    return true;
  }

  fail(failure: ServiceFailure): void {
    this.sink.send({ type: "error", failure });
  }

  /** Leaves the engine for good. */
  release(): void {
    if (this.#handle === undefined) return;
    const handle = this.#handle;
    this.#handle = undefined;
    this.#evicted = false;
    this.#engine.close(handle);
  }

  #sample(handle: number): void {
    const { id, stop, logprob } = JSON.parse(this.#engine.sample(handle)) as Sample;
    this.fruitlessEvictions = 0;
    if (stop) {
      this.#finish(handle, "stop", id);
      return;
    }
    this.#generated += 1;
    const spikes = this.request.countSpikes === true ? { spikes: JSON.parse(this.#engine.spikeTotals(handle)) as SpikeCounts } : {};
    this.sink.send({ type: "token", id, ...(logprob === undefined ? {} : { logprob }), ...spikes, ...this.#state(handle) });
    if (this.#generated >= this.request.maxTokens) this.#finish(handle, "length");
  }

  #collectPromptLogprobs(handle: number): void {
    // Sequences that were evicted read their prompt again; it has been reported already.
    if (this.request.promptLogprobs === null || this.#promptReported) return;
    const logprobs = JSON.parse(this.#engine.takePromptLogprobs(handle)) as (TokenLogprob | null)[];
    for (const logprob of logprobs) this.#promptLogprobs.push(logprob);
  }

  #finish(handle: number, reason: "stop" | "length", stopToken?: number): void {
    this.sink.send({
      type: "finish",
      reason,
      ...(stopToken === undefined ? {} : { stopToken }),
      usage: { promptTokens: this.request.prompt.length, completionTokens: this.#generated, cachedTokens: 0 },
      ...(this.request.countSpikes === true ? { spikes: JSON.parse(this.#engine.spikeCounts(handle)) as SpikesByLayer } : {}),
      ...this.#state(handle),
    });
  }

  #reportReading(handle: number): void {
    const { state } = this.#state(handle);
    if (state === undefined || Math.abs(state.tokens - this.#reportedAt) < tokensBetweenReports) return;
    this.#reportedAt = state.tokens;
    this.sink.send({ type: "read", state });
  }

  #state(handle: number): { readonly state?: StateReport } {
    if (this.request.reportState !== true) return {};
    return { state: { tokens: this.tokens - this.#engine.pending(handle), bytes: this.#engine.sequenceBytes(handle) } };
  }
}
