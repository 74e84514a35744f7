/** One request to the toy: the events of its answer, with the states that go in and come out. */
import type { GenerateEvent } from "../../../workers/contracts/engine.ts";
import { ServiceError, type ServiceFailure } from "../../../workers/contracts/errors.ts";
import { heartbeatMilliseconds } from "../../../workers/contracts/event-stream.ts";
import { addSpikes, layerTotals, noSpikes } from "../../../workers/contracts/spikes.ts";
import type { OpenedRequest } from "../../../workers/contracts/request/open-state.ts";
import { ToyHistory, toyChoose, toyLogits, toyLogprob } from "./toy-model.ts";
import { toySpikes, toyState } from "./toy-reports.ts";
import { ToyRules } from "./toy-rules.ts";
import { decode, encodeState, ToyState } from "./toy-state.ts";
import { pause, within } from "../../../workers/waiting/within.ts";

/** What a script has in store for one call. */
export interface ToyCourse {
  readonly vocabularySize: number;
  readonly reply?: readonly number[];
  readonly endOfTurn: number;
  readonly delayMilliseconds?: number;
  readonly pauseAt?: Pause;
  /** After it has told how far the prompt is read. */
  readonly readingMilliseconds?: number;
  readonly rejectsState: boolean;
  /** After so many tokens of this call. */
  readonly losesStateAfter?: number;
  readonly breakAfter?: { readonly tokens: number; readonly how: Break };
  readonly failSaveAfterBytes?: number;
  readonly readsStatesAgain?: boolean;
}

export interface Pause {
  /** Of the answer, from 0, also where it is a continued one. */
  readonly token: number;
  readonly milliseconds: number;
}

export type Break = "error" | "end" | "abort" | "hang";
/** An event, or what is no event: a broken stream, an empty line. */
export type ToyOutput = GenerateEvent | "abort" | "heartbeat";

export const scriptedFailure: ServiceFailure = {
  code: "engine_unavailable",
  status: 503,
  message: "The scripted engine broke.",
  retryable: true,
};

/** Small, so that even a toy's file comes in several. */
const chunkBytes = 300;

const stateFailure = (code: "state_rejected" | "state_lost", message: string): ServiceFailure => ({
  code,
  status: 503,
  message,
  retryable: true,
});

export class ToyGeneration {
  readonly #request: OpenedRequest;
  readonly #course: ToyCourse;
  readonly #cancelled: () => boolean;
  #state = new ToyState();
  #completionTokens = 0;

  constructor(request: OpenedRequest, course: ToyCourse, cancelled: () => boolean) {
    this.#request = request;
    this.#course = course;
    this.#cancelled = cancelled;
  }

  async *run(): AsyncGenerator<ToyOutput, void, undefined> {
    try {
      yield* this.#resume();
    } catch (cause) {
      if (!(cause instanceof ServiceError)) throw cause;
      yield { type: "error", failure: cause.failure };
      return;
    }
    const { resume, prompt, promptLogprobs, continued = 0, save } = this.#request;
    if (resume !== undefined && this.#course.readsStatesAgain !== true) yield { type: "restored", tokens: resume.tokens };
    if (this.#request.reportState === true) {
      yield { type: "read", state: toyState(this.#state.tokens + Math.floor(prompt.length / 2)) };
      const { readingMilliseconds } = this.#course;
      if (readingMilliseconds !== undefined) yield* this.#quiet(readingMilliseconds);
    }
    const scores: Extract<GenerateEvent, { type: "prompt" }>["logprobs"][number][] = [];
    for (const id of prompt) {
      if (promptLogprobs !== null) scores.push(this.#state.tokens === 0 ? null : toyLogprob(this.#logits(undefined), id, promptLogprobs));
      this.#state.read(id);
      if (save?.at.includes(this.#state.tokens) === true) yield* this.#save(save.fromPage);
    }
    if (promptLogprobs !== null) yield { type: "prompt", logprobs: scores };
    const history = new ToyHistory([...(resume?.seen ?? []), ...prompt], prompt.slice(prompt.length - continued));
    let rules: ToyRules;
    try {
      rules = ToyRules.of(this.#request, this.#course.vocabularySize);
    } catch (cause) {
      if (!(cause instanceof ServiceError)) throw cause;
      yield { type: "error", failure: cause.failure };
      return;
    }
    try {
      yield* this.#answer(history, rules);
    } catch (cause) {
      if (!(cause instanceof ServiceError)) throw cause;
      yield { type: "error", failure: cause.failure };
    } finally {
      rules.close();
    }
  }

  async *#answer(history: ToyHistory, rules: ToyRules): AsyncGenerator<ToyOutput, void, undefined> {
    const { breakAfter, losesStateAfter, delayMilliseconds, pauseAt, reply, endOfTurn } = this.#course;
    const { maxTokens, stopTokens, topLogprobs, scoredTokens, countSpikes, sampling } = this.#request;
    const alternatives = scoredTokens ?? topLogprobs;
    while (this.#completionTokens < maxTokens) {
      if (delayMilliseconds !== undefined) await pause(delayMilliseconds);
      if (breakAfter?.tokens === this.#completionTokens) return yield* this.#break(breakAfter.how);
      if (losesStateAfter === this.#completionTokens)
        return yield { type: "error", failure: stateFailure("state_lost", "The scripted engine lost the state.") };
      const { tokens } = this.#state;
      const said = history.output.length;
      if (pauseAt?.token === said) yield* this.#quiet(pauseAt.milliseconds);
      const logits = this.#logits(reply === undefined ? undefined : (reply[said] ?? endOfTurn));
      const forbidden = rules.forbidden(history.output);
      if (forbidden === undefined) return yield* this.#finish("stop", tokens);
      const id = toyChoose(logits, sampling, history, forbidden);
      if (stopTokens.includes(id)) return yield* this.#finish("stop", tokens, id);
      this.#completionTokens++;
      history.add(id);
      rules.chosen(id);
      this.#state.read(id);
      const logprob = alternatives === null ? {} : { logprob: toyLogprob(logits, id, alternatives) };
      const spikes = countSpikes === true ? { spikes: layerTotals(toySpikes(tokens)).reduce(addSpikes, noSpikes) } : {};
      yield { type: "token", id, ...logprob, ...spikes, ...this.#report(tokens) };
    }
    yield* this.#finish("length", this.#completionTokens === 0 ? this.#state.tokens : this.#state.tokens - 1);
  }

  /** `read`: tokens that were read before the answer's last one was chosen. */
  *#finish(reason: "stop" | "length", read: number, stopToken?: number): Generator<ToyOutput, void, undefined> {
    const { resume, prompt, countSpikes, save } = this.#request;
    const resumed = resume?.tokens ?? 0;
    const cachedTokens = this.#course.readsStatesAgain === true ? 0 : resumed;
    yield {
      type: "finish",
      reason,
      ...(stopToken === undefined ? {} : { stopToken }),
      usage: { promptTokens: resumed + prompt.length, completionTokens: this.#completionTokens, cachedTokens },
      ...(countSpikes === true ? { spikes: toySpikes(read) } : {}),
      ...this.#report(read),
    };
    if (save?.end === true) yield* this.#save(save.fromPage);
  }

  /** A wait in which it shows that it lives, as every backend does. */
  async *#quiet(milliseconds: number): AsyncGenerator<"heartbeat", void, undefined> {
    for (let left = milliseconds; left > 0 && !this.#cancelled(); left -= heartbeatMilliseconds) {
      await pause(Math.min(left, heartbeatMilliseconds));
      yield "heartbeat";
    }
  }

  async *#break(how: Break): AsyncGenerator<ToyOutput, void, undefined> {
    while (how === "hang" && !this.#cancelled()) {
      await pause(5);
      yield "heartbeat";
    }
    if (how === "abort") yield "abort";
    if (how === "error") yield { type: "error", failure: scriptedFailure };
  }

  *#save(fromPage: number): Generator<ToyOutput, void, undefined> {
    const { tokens } = this.#state;
    const file = encodeState(this.#state, fromPage);
    const most = this.#course.failSaveAfterBytes ?? file.length;
    for (let at = 0; at < Math.min(file.length, most); at += chunkBytes)
      yield { type: "state", tokens, bytes: file.slice(at, Math.min(at + chunkBytes, most)) };
    yield most < file.length ? { type: "unsaved", tokens, reason: "The scripted engine could not save." } : { type: "saved", tokens };
  }

  async *#resume(): AsyncGenerator<"heartbeat", void, undefined> {
    const { resume } = this.#request;
    if (resume === undefined) return;
    if (this.#course.rejectsState) {
      await resume.bytes.cancel().catch(() => undefined);
      throw new ServiceError(stateFailure("state_rejected", "The scripted engine refused the state."));
    }
    this.#state = decode(yield* bytesOf(resume.bytes));
    if (this.#state.tokens === resume.tokens) return;
    const held = `the state holds ${String(this.#state.tokens)} tokens; it should hold ${String(resume.tokens)}`;
    throw new ServiceError(stateFailure("state_rejected", held));
  }

  #logits(scripted: number | undefined): Float64Array {
    return toyLogits(this.#state.digest, this.#course.vocabularySize, scripted);
  }

  #report(read: number): { readonly state?: ReturnType<typeof toyState> } {
    return this.#request.reportState === true ? { state: toyState(read) } : {};
  }
}

/** Waits with a sign of life now and then, without which nobody learns that the reader has left. */
async function* bytesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<"heartbeat", Uint8Array, undefined> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let next = reader.read();
  try {
    while (true) {
      const part = await within(next, heartbeatMilliseconds, () => undefined);
      if (part === undefined) yield "heartbeat";
      else if (part.done) return Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
      else {
        chunks.push(part.value);
        next = reader.read();
      }
    }
  } catch {
    throw new ServiceError(stateFailure("state_rejected", "the state's stream broke off"));
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}
