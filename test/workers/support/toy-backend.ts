/** A whole generation backend over the toy model, with a script: what it says, how fast, and how it breaks. */
import { missingAbility } from "../../../workers/contracts/request/missing-ability.ts";
import type { ModelVersion } from "../../../workers/contracts/model-version.ts";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import { abilities, type Ability } from "../../../workers/contracts/abilities.ts";
import type { EngineLoad, GenerateRequest, GenerationBackend, ModelDescription } from "../../../workers/contracts/engine.ts";
import type { ServiceFailure } from "../../../workers/contracts/errors.ts";
import { encodeEvent, encodeHeartbeat } from "../../../workers/contracts/event-stream.ts";
import { submitWithState, type Admission, type OpenedRequest, type RequestToCheck } from "../../../workers/contracts/request/open-state.ts";
import { stateRefusalOf } from "../../../workers/contracts/request/check-states.ts";
import { tinyManifest, versionOf } from "./tiny-tokenizer.ts";
import { ToyGeneration, type Break, type Pause, type ToyCourse } from "./toy-generation.ts";
import { toyStates } from "./toy-reports.ts";

export { scriptedFailure } from "./toy-generation.ts";
export { toySpikes, toyState } from "./toy-reports.ts";

export interface BackendScript {
  /** Where a test serves a tokenizer with more tokens than the tiny one. */
  readonly vocabularySize?: number;
  /** Where a test's prompts are longer than the backend's context. */
  readonly contextLength?: number;
  /** In place of the backend's own models. */
  readonly models?: readonly ToyModel[];
  /** Token ids of the reply, then the end of turn; the toy model's own babble where absent. */
  readonly reply?: readonly number[];
  /** Replies by call, for answers with several choices; the last one repeats. */
  readonly replies?: readonly (readonly number[])[];
  readonly delayMilliseconds?: number;
  /** Silence before this token of the answer, from 0, beside the delay before each. */
  readonly pauseAt?: Pause;
  /** After a call has told how far its prompt is read. */
  readonly readingMilliseconds?: number;
  readonly refuse?: ServiceFailure;
  /** Refuses only the call of this number, from 0. */
  readonly refuseCall?: number;
  readonly throwOnGenerate?: boolean;
  /** Asks for the tokens of each state that it is handed, as a backend does that reads whole texts: {@link ToyBackend.toldTokens}. */
  readonly asksTokens?: boolean;
  readonly notReady?: ServiceFailure;
  /** After this many tokens of each call: an error event, an end without a terminal event, a broken stream, or silence for ever. */
  readonly breakAfter?: { readonly tokens: number; readonly how: Break };
  /** The same before this token of the answer, from 0, also where it is a continued one. */
  readonly breakAt?: { readonly token: number; readonly how: Break };
  /** Refuses so many states from now on. */
  readonly rejectStates?: number;
  /** Loses a resumed state after this many tokens of the call, so many times from now on. */
  readonly loseStateAfter?: { readonly tokens: number; readonly times: number };
  /** Says at its end that it has not used the state that it was given, but read its tokens again. */
  readonly readsStatesAgain?: boolean;
  /** Gives every state up after so many bytes. */
  readonly failSaveAfterBytes?: number;
}

/** All abilities where they are left out. */
export interface ToyModel extends ModelVersion {
  readonly abilities?: readonly Ability[];
}

export interface ToyBackendOptions {
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly endOfTurn: number;
  /** The tiny model alone where left out. */
  readonly models?: readonly ToyModel[];
}

const memoryBytes = 1 << 20;
const tinyVersion = versionOf(tinyManifest);

export class ToyBackend implements GenerationBackend {
  readonly #options: ToyBackendOptions;
  script: BackendScript = {};
  calls: GenerateRequest[] = [];
  toldTokens: (readonly number[])[] = [];
  generatedTokens = 0;
  running = 0;
  /** States in memory: of what runs, and of answers whose state is on its way out. */
  #states = 0;
  #rejections = 0;
  #losses = 0;

  constructor(options: ToyBackendOptions) {
    this.#options = options;
  }

  get #vocabularySize(): number {
    return this.script.vocabularySize ?? this.#options.vocabularySize;
  }

  get #contextLength(): number {
    return this.script.contextLength ?? this.#options.contextLength;
  }

  get #models(): readonly ToyModel[] {
    return this.script.models ?? this.#options.models ?? [tinyVersion];
  }

  use(script: BackendScript): void {
    this.script = script;
    this.calls = [];
    this.toldTokens = [];
    this.generatedTokens = 0;
    this.#rejections = 0;
    this.#losses = 0;
  }

  models(): Promise<Outcome<readonly ModelDescription[]>> {
    const contextLength = this.#contextLength;
    const models = this.#models;
    const vocabularySize = this.#vocabularySize;
    const facts = {
      architecture: "toy",
      parameters: 0,
      kernel: "toy",
      vocabularySize,
      contextLength,
      spikes: "paper",
      state: toyStates,
    } as const;
    return Promise.resolve({ ok: true, value: models.map((version) => ({ abilities, ...version, ...facts })) });
  }

  ready(): Promise<Outcome<null>> {
    const { notReady } = this.script;
    return Promise.resolve(notReady === undefined ? { ok: true, value: null } : { ok: false, failure: notReady });
  }

  load(): Promise<EngineLoad> {
    const { running, generatedTokens } = this;
    return Promise.resolve({
      loaded: true,
      running,
      waiting: 0,
      freeStateBytes: memoryBytes - this.#states * toyStates.bytes,
      generatedTokens,
    });
  }

  generate(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    return Promise.resolve().then(() => this.#answer(request));
  }

  async #answer(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    const call = this.calls.push(request) - 1;
    const { refuse, refuseCall, throwOnGenerate, asksTokens } = this.script;
    if (asksTokens === true && request.resume !== undefined) {
      const told = await request.resume.state.tokens();
      if (told.ok) this.toldTokens.push([...told.value]);
    }
    if (throwOnGenerate === true) throw new Error("scripted crash");
    if (refuse !== undefined && (refuseCall ?? call) === call) return { ok: false, failure: refuse };
    const admission: Admission = {
      refusalOf: (asked) => this.#invalid(asked) ?? undefined,
      submit: (opened) => ({ ok: true, value: this.#stream(opened, call) }),
    };
    return await submitWithState(admission, request);
  }

  #invalid(request: RequestToCheck): ServiceFailure | null {
    const { prompt, maxTokens } = request;
    const contextLength = this.#contextLength;
    const models = this.#models;
    const vocabularySize = this.#vocabularySize;
    const { id, digest } = request.model;
    const model = models.find((one) => one.id === id && one.digest === digest);
    if (model === undefined)
      return {
        code: "model_not_found",
        status: 404,
        message: `model: there is no '${id}' of this digest`,
        param: "model",
        retryable: false,
      };
    const refuse = (code: "invalid_request" | "context_length_exceeded", message: string, param = "prompt") => ({
      code,
      status: 400,
      message,
      param,
      retryable: false,
    });
    if (prompt.length === 0) return refuse("invalid_request", "prompt: must hold at least one token");
    const outside = prompt.find((id) => id >= vocabularySize);
    if (outside !== undefined)
      return refuse("invalid_request", `prompt: token id ${outside} is outside the vocabulary of ${vocabularySize}`);
    const total = prompt.length + maxTokens;
    if (total > contextLength)
      return refuse("context_length_exceeded", `prompt: ${total} tokens are more than the context of ${contextLength}`);
    return stateRefusalOf(request, this.#options) ?? this.#unable(request, model);
  }

  #unable(request: RequestToCheck, { abilities: can = abilities }: ToyModel): ServiceFailure | null {
    const missing = missingAbility(request, can);
    if (missing === undefined) return null;
    const { ability, param } = missing;
    return { code: "invalid_request", status: 400, message: `${param}: needs the ability '${ability}'`, param, retryable: false };
  }

  #stream(request: OpenedRequest, call: number): ReadableStream<Uint8Array> {
    let cancelled = false;
    const events = new ToyGeneration(request, this.#course(request, call), () => cancelled).run();
    this.running++;
    this.#states++;
    let running = true;
    const end = () => {
      if (running) this.running--;
      running = false;
    };
    const leave = () => {
      end();
      if (!cancelled) this.#states--;
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
          } else if (value === "heartbeat") controller.enqueue(encodeHeartbeat());
          else {
            if (value.type === "token") this.generatedTokens++;
            if (value.type === "finish" || value.type === "error") end();
            controller.enqueue(encodeEvent(value));
          }
        },
        cancel: () => {
          leave();
          void events.return();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** What the script has in store for this call. */
  #course({ resume, continued = 0 }: OpenedRequest, call: number): ToyCourse {
    const {
      replies,
      reply,
      delayMilliseconds,
      pauseAt,
      readingMilliseconds,
      breakAfter,
      breakAt,
      rejectStates = 0,
      loseStateAfter,
      failSaveAfterBytes,
    } = this.script;
    const said = replies?.[Math.min(call, replies.length - 1)] ?? reply;
    const rejectsState = resume !== undefined && this.#rejections < rejectStates;
    if (rejectsState) this.#rejections++;
    const losesState = resume !== undefined && !rejectsState && loseStateAfter !== undefined && this.#losses < loseStateAfter.times;
    if (losesState) this.#losses++;
    const breaks = breakAfter ?? (breakAt === undefined ? undefined : { tokens: breakAt.token - continued, how: breakAt.how });
    return {
      vocabularySize: this.#vocabularySize,
      endOfTurn: this.#options.endOfTurn,
      rejectsState,
      ...(said === undefined ? {} : { reply: said }),
      ...(delayMilliseconds === undefined ? {} : { delayMilliseconds }),
      ...(pauseAt === undefined ? {} : { pauseAt }),
      ...(readingMilliseconds === undefined ? {} : { readingMilliseconds }),
      ...(breaks === undefined ? {} : { breakAfter: breaks }),
      readsStatesAgain: this.script.readsStatesAgain ?? false,
      ...(losesState ? { losesStateAfter: loseStateAfter.tokens } : {}),
      ...(failSaveAfterBytes === undefined ? {} : { failSaveAfterBytes }),
    };
  }
}
