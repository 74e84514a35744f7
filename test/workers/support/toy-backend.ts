/** A whole generation backend over the toy model, with a script: what it says, how fast, and how it breaks. */
import type {
  EngineLoad,
  GenerateEvent,
  GenerateRequest,
  GenerationBackend,
  ModelDescription,
  Outcome,
} from "../../../workers/contracts/engine.ts";
import type { ServiceFailure } from "../../../workers/contracts/errors.ts";
import { encodeEvent, encodeHeartbeat } from "../../../workers/contracts/event-stream.ts";
import { addSpikes, layerTotals, noSpikes, type SpikeCounts, type SpikesByLayer } from "../../../workers/contracts/spikes.ts";
import type { StateDescription, StateReport } from "../../../workers/contracts/state.ts";
import { toyChoose, toyLogits, toyLogprob } from "./toy-model.ts";

export interface BackendScript {
  /** Token ids of the reply, then the end of turn; the toy model's own babble where absent. */
  readonly reply?: readonly number[];
  /** Replies by call, for answers with several choices; the last one repeats. */
  readonly replies?: readonly (readonly number[])[];
  readonly delayMilliseconds?: number;
  readonly refuse?: ServiceFailure;
  /** Refuses only the call of this number, from 0. */
  readonly refuseCall?: number;
  readonly throwOnGenerate?: boolean;
  readonly notReady?: ServiceFailure;
  /** After this many tokens: an error event, an end without a terminal event, a broken stream, or silence for ever. */
  readonly breakAfter?: { readonly tokens: number; readonly how: "error" | "end" | "abort" | "hang" };
}

export const SCRIPTED_FAILURE: ServiceFailure = {
  code: "engine_unavailable",
  status: 503,
  message: "The scripted engine broke.",
  retryable: true,
};

export interface ToyBackendOptions {
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly endOfTurn: number;
}

export class ToyBackend implements GenerationBackend {
  readonly #options: ToyBackendOptions;
  script: BackendScript = {};
  calls: GenerateRequest[] = [];
  generatedTokens = 0;
  running = 0;

  constructor(options: ToyBackendOptions) {
    this.#options = options;
  }

  use(script: BackendScript): void {
    this.script = script;
    this.calls = [];
    this.generatedTokens = 0;
  }

  describe(): Promise<Outcome<ModelDescription>> {
    const { vocabularySize, contextLength } = this.#options;
    const model = { id: "tiny", digest: "0".repeat(64), tokenizerDigest: "2".repeat(64), architecture: "toy", parameters: 0, kernel: "toy" };
    return Promise.resolve({ ok: true, value: { ...model, vocabularySize, contextLength, spikes: "paper", state: toyStates } });
  }

  ready(): Promise<Outcome<null>> {
    const { notReady } = this.script;
    return Promise.resolve(notReady === undefined ? { ok: true, value: null } : { ok: false, failure: notReady });
  }

  load(): Promise<EngineLoad> {
    const { running, generatedTokens } = this;
    return Promise.resolve({ loaded: true, running, waiting: 0, freeStateBytes: 1 << 20, generatedTokens });
  }

  generate(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    return new Promise((resolve) => resolve(this.#answer(request)));
  }

  #answer(request: GenerateRequest): Outcome<ReadableStream<Uint8Array>> {
    const call = this.calls.push(request) - 1;
    const { refuse, refuseCall, throwOnGenerate } = this.script;
    if (throwOnGenerate === true) throw new Error("scripted crash");
    if (refuse !== undefined && (refuseCall ?? call) === call) return { ok: false, failure: refuse };
    const failure = this.#invalid(request);
    if (failure !== null) return { ok: false, failure };
    return { ok: true, value: this.#stream(request, call) };
  }

  #invalid({ prompt, maxTokens }: GenerateRequest): ServiceFailure | null {
    const { vocabularySize, contextLength } = this.#options;
    const refuse = (code: "invalid_request" | "context_length_exceeded", message: string) => ({
      code,
      status: 400,
      message,
      param: "prompt",
      retryable: false,
    });
    if (prompt.length === 0) return refuse("invalid_request", "prompt: must hold at least one token");
    const outside = prompt.find((id) => id >= vocabularySize);
    if (outside !== undefined)
      return refuse("invalid_request", `prompt: token id ${outside} is outside the vocabulary of ${vocabularySize}`);
    const total = prompt.length + maxTokens;
    return total <= contextLength
      ? null
      : refuse("context_length_exceeded", `prompt: ${total} tokens are more than the context of ${contextLength}`);
  }

  #stream(request: GenerateRequest, call: number): ReadableStream<Uint8Array> {
    let cancelled = false;
    const events = this.#events(request, call, () => cancelled);
    this.running++;
    const leave = () => {
      if (!cancelled) this.running--;
      cancelled = true;
    };
    return new ReadableStream(
      {
        type: "bytes",
        pull: async (controller) => {
          const { value } = await events.next();
          if (cancelled) return;
          if (value === "abort") {
            leave();
            controller.error(new Error("scripted break"));
          } else if (value === undefined) {
            leave();
            controller.close();
            controller.byobRequest?.respond(0);
          } else controller.enqueue(value === "heartbeat" ? encodeHeartbeat() : encodeEvent(value));
        },
        cancel: leave,
      },
      { highWaterMark: 0 },
    );
  }

  async *#events(
    request: GenerateRequest,
    call: number,
    cancelled: () => boolean,
  ): AsyncGenerator<GenerateEvent | "abort" | "heartbeat", void, undefined> {
    const { breakAfter, delayMilliseconds } = this.script;
    const reply = this.script.replies?.[Math.min(call, this.script.replies.length - 1)] ?? this.script.reply;
    const history = Array.from(request.prompt);
    let completionTokens = 0;
    let read = history.length;
    const state = () => (request.reportState === true ? { state: toyState(read) } : {});
    if (request.reportState === true) yield { type: "read", state: toyState(Math.floor(read / 2)) };
    if (request.promptLogprobs !== null) yield { type: "prompt", logprobs: this.#scorePrompt(history, request.promptLogprobs) };
    const finish = (reason: "stop" | "length", stopToken?: number): GenerateEvent => ({
      type: "finish",
      reason,
      ...(stopToken === undefined ? {} : { stopToken }),
      usage: { promptTokens: request.prompt.length, completionTokens, cachedTokens: 0 },
      ...(request.countSpikes === true ? { spikes: toySpikes(read) } : {}),
      ...state(),
    });
    while (completionTokens < request.maxTokens) {
      if (delayMilliseconds !== undefined) await new Promise((resolve) => setTimeout(resolve, delayMilliseconds));
      if (breakAfter?.tokens === completionTokens) {
        const hangs = breakAfter.how === "hang";
        while (hangs && !cancelled()) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          yield "heartbeat";
        }
        if (breakAfter.how === "abort") yield "abort";
        if (breakAfter.how === "error") yield { type: "error", failure: SCRIPTED_FAILURE };
        return;
      }
      read = history.length;
      const scripted = reply === undefined ? undefined : (reply[completionTokens] ?? this.#options.endOfTurn);
      const logits = toyLogits(history, this.#options.vocabularySize, scripted);
      const forbidden = new Set(completionTokens < request.minTokens ? request.stopTokens : []);
      const id = toyChoose(logits, request.sampling, completionTokens, forbidden);
      if (request.stopTokens.includes(id)) return yield finish("stop", id);
      completionTokens++;
      this.generatedTokens++;
      const spikes = request.countSpikes === true ? { spikes: layerTotals(toySpikes(read)).reduce(addSpikes, noSpikes) } : {};
      history.push(id);
      const logprob = request.topLogprobs === null ? {} : { logprob: toyLogprob(logits, id, request.topLogprobs) };
      yield { type: "token", id, ...logprob, ...spikes, ...state() };
    }
    yield finish("length");
  }

  #scorePrompt(prompt: readonly number[], alternatives: number) {
    return prompt.map((id, at) =>
      at === 0 ? null : toyLogprob(toyLogits(prompt.slice(0, at), this.#options.vocabularySize, undefined), id, alternatives),
    );
  }
}

/** What the toy's two layers have fired once they have read so many tokens: of ten inputs a token one is silent, then two. */
export function toySpikes(tokens: number): SpikesByLayer {
  const layer = (silent: number): SpikeCounts => ({
    channels: 10 * tokens,
    silent: silent * tokens,
    small: 9 * tokens,
    count: 20 * tokens,
    spikes: 12 * tokens,
    windows: [silent * tokens, 5 * tokens, 2 * tokens, tokens],
    multiplyAccumulates: 1000 * tokens,
    skipped: 100 * silent * tokens,
    additions: 1200 * tokens,
  });
  return [{ attention_in: layer(1) }, { attention_in: layer(2), query: layer(2) }];
}

export const toyStates: StateDescription = { bytes: 320, constant: true, keysAndValues: "f32", fullAttentionBytesPerToken: 384 };

/** Ten bytes a token until the toy's window of 32 is full. */
export function toyState(tokens: number): StateReport {
  return { tokens, bytes: 10 * Math.min(tokens, 32) };
}
