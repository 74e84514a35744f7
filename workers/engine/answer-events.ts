/** What the reader of one request is told: the prompt's log-probabilities, how far reading has come, each token, the end. */
import type { TokenLogprob } from "../contracts/engine.ts";
import type { BackendFinish } from "../contracts/finish.ts";
import type { OpenedRequest } from "../contracts/request/open-state.ts";
import type { SpikeCounts, SpikesByLayer } from "../contracts/spikes.ts";
import type { StateReport } from "../contracts/state.ts";
import type { ComputingEngine } from "./engine-surface.ts";
import type { EventWriter } from "./event-writer.ts";

/** While a prompt is read, its reader hears of it so often: every few seconds on a slow machine. */
const tokensBetweenReports = 256;

/** `read` is how many tokens the sequence's state holds. */
export class AnswerEvents {
  readonly #engine: ComputingEngine;
  readonly #request: OpenedRequest;
  readonly #writer: EventWriter;
  #promptLogprobs: (TokenLogprob | null)[] = [];
  #promptReported = false;
  #reportedAt = 0;

  constructor(engine: ComputingEngine, request: OpenedRequest, writer: EventWriter) {
    this.#engine = engine;
    this.#request = request;
    this.#writer = writer;
  }

  /** The prompt is read from its beginning again, by a new sequence. */
  restart(): void {
    this.#promptLogprobs = [];
    this.#promptReported = false;
  }

  collectPromptLogprobs(handle: number): void {
    // Sequences that were evicted read their prompt again; it has been reported already.
    if (this.#request.promptLogprobs === null || this.#promptReported) return;
    const logprobs = JSON.parse(this.#engine.takePromptLogprobs(handle)) as (TokenLogprob | null)[];
    for (const logprob of logprobs) this.#promptLogprobs.push(logprob);
  }

  /** Once, when the whole prompt has been read. */
  sendPrompt(): void {
    if (this.#request.promptLogprobs === null || this.#promptReported) return;
    this.#promptReported = true;
    this.#writer.send({ type: "prompt", logprobs: this.#promptLogprobs });
    this.#promptLogprobs = [];
  }

  sendReading(handle: number, read: number): void {
    const { state } = this.#state(handle, read);
    if (state === undefined || Math.abs(state.tokens - this.#reportedAt) < tokensBetweenReports) return;
    this.#reportedAt = state.tokens;
    this.#writer.send({ type: "read", state });
  }

  /** A token that followed without a choice. */
  sendForced(handle: number, read: number, id: number): void {
    this.#writer.send({ type: "token", id, ...this.#state(handle, read) });
  }

  sendSampled(handle: number, read: number, id: number, logprob: TokenLogprob | undefined): void {
    const spikes = this.#request.countSpikes === true ? { spikes: JSON.parse(this.#engine.spikeTotals(handle)) as SpikeCounts } : {};
    this.#writer.send({ type: "token", id, ...(logprob === undefined ? {} : { logprob }), ...spikes, ...this.#state(handle, read) });
  }

  /** `completionTokens`: how many tokens the answer has; `stopToken`: the one that ended it, where one did. */
  sendFinish(handle: number, read: number, end: { reason: BackendFinish; stopToken?: number; completionTokens: number }): void {
    const { prompt, resume, countSpikes } = this.#request;
    const { reason, stopToken, completionTokens } = end;
    const cachedTokens = resume?.tokens ?? 0;
    this.#writer.send({
      type: "finish",
      reason,
      ...(stopToken === undefined ? {} : { stopToken }),
      usage: { promptTokens: cachedTokens + prompt.length, completionTokens, cachedTokens },
      ...(countSpikes === true ? { spikes: JSON.parse(this.#engine.spikeCounts(handle)) as SpikesByLayer } : {}),
      ...this.#state(handle, read),
    });
  }

  #state(handle: number, read: number): { readonly state?: StateReport } {
    if (this.#request.reportState !== true) return {};
    return { state: { tokens: read, bytes: this.#engine.sequenceBytes(handle) } };
  }
}
