/** One request at one of our replicas: states in, states on the way, the answer, its state out. */
import type { GenerateEvent, GenerateRequest } from "../../contracts/engine.ts";
import type { BackendCall, EventBatches } from "./contract.ts";
import { answerEvents, answerTo, ask, withEnd, type Question } from "./http-answer.ts";
import type { ReplicaHttp } from "./replica-http.ts";
import { ReplicaStates, type ReadText } from "./replica-states.ts";
import { generateBody, vllmDialect } from "./vllm-dialect.ts";

export const generatePath = "/inference/v1/generate";

/** An answer that the replica has begun. */
export interface Begun {
  readonly response: Response;
  readonly question: Question;
  /** Where its state goes; null where the replica has no room for it; undefined where none is wanted. */
  readonly exported: string | null | undefined;
  /** Tokens of the state that it was given to start from; 0 without one. What it says of cached tokens shows whether it did. */
  readonly given: number;
}

export class VllmRun {
  readonly #http: ReplicaHttp;
  readonly #call: Pick<BackendCall, "request" | "model">;
  readonly #tenant: string;
  readonly #signal: AbortSignal;
  readonly #states: ReplicaStates;

  constructor(http: ReplicaHttp, call: Pick<BackendCall, "request" | "model">, tenant: string, signal: AbortSignal) {
    this.#http = http;
    this.#call = call;
    this.#tenant = tenant;
    this.#signal = signal;
    this.#states = new ReplicaStates(http, tenant, signal);
  }

  /** What it has left at the replica goes. */
  async leave(): Promise<void> {
    await this.#states.remove();
  }

  /** From a state, or by way of some, or both. @throws ServiceError where the replica refuses or breaks. */
  async *throughStates(resumed: ReadText | undefined): EventBatches {
    const { request } = this.#call;
    let from = resumed === undefined ? null : await this.#states.put(resumed);
    let given = resumed !== undefined && from !== null ? resumed.ids.length : 0;
    const text = resumed === undefined ? request.prompt : joined(resumed.ids, request.prompt);
    for (const at of request.save?.at ?? []) {
      const begun = await this.#begin(text.subarray(0, at), { ...request, ...onlyRead }, from, given);
      const saved = yield* this.#stateAt(begun);
      if (saved !== null) [from, given] = [saved, 0];
    }
    yield* this.answer(await this.#begin(text, request, from, given));
  }

  /** @throws ServiceError where the replica refuses. */
  async begin(text: Uint32Array): Promise<Begun> {
    return await this.#begin(text, this.#call.request, null, 0);
  }

  async *answer({ response, question, exported, given }: Begun): EventBatches {
    const answer = answerTo(question);
    const last = yield* answerEvents(response, question, answer);
    const end = yield* withEnd(last, answer, (made) => restoredOf(made, given));
    if (exported === undefined) return;
    // Where the context has no room for one token more, the state lacks the answer's last one, which nobody has read.
    const isFull = exported !== null && end.reason === "length" && question.askedTokens === question.request.maxTokens;
    const read = joined(question.prompt, Uint32Array.from(isFull ? answer.tokens.slice(0, -1) : answer.tokens));
    if (exported === null) yield [{ type: "unsaved", tokens: read.length, reason: "the backend has no room for the state" }];
    else for await (const event of this.#states.saved(exported, read, this.#call.request.save?.fromPage ?? 0)) yield [event];
  }

  /** The state after a part of the prompt; its handle where it has come. */
  async *#stateAt({ response, question, exported, given }: Begun): AsyncGenerator<readonly GenerateEvent[], string | null, undefined> {
    const answer = answerTo(question);
    const events = answerEvents(response, question, answer);
    // Nobody asked for the token behind it.
    while ((await events.next()).done !== true);
    const restored = restoredOf(answer.end(), given);
    if (restored.length > 0) yield restored;
    const tokens = question.prompt.length;
    if (exported === null || exported === undefined) {
      yield [{ type: "unsaved", tokens, reason: "the backend has no room for the state" }];
      return null;
    }
    let isSaved = false;
    for await (const event of this.#states.saved(exported, question.prompt, this.#call.request.save?.fromPage ?? 0)) {
      isSaved = event.type === "saved";
      yield [event];
    }
    return isSaved ? exported : null;
  }

  async #begin(prompt: Uint32Array, request: GenerateRequest, from: string | null, given: number): Promise<Begun> {
    const { model } = this.#call;
    const saves = request.save?.end === true;
    const least = Math.max(request.maxTokens, 1);
    const to = saves ? await this.#states.handle() : null;
    // A replica's state lacks the last token that it has sampled: one more is asked for where there is room, which nobody sees.
    const hasRoom = prompt.length + request.maxTokens + 1 <= model.contextLength;
    const askedTokens = to !== null && hasRoom ? request.maxTokens + 1 : least;
    const handles = { ...(from === null ? {} : { from }), ...(to === null ? {} : { to }) };
    const body = generateBody(request, prompt, { model, askedTokens, tenant: this.#tenant, ...handles });
    const question = { request, model, prompt, askedTokens, path: generatePath, body, dialect: vllmDialect };
    return { response: await ask(this.#http, question, this.#signal), question, exported: saves ? to : undefined, given };
  }
}

/** vLLM says at its end alone how much it has not had to compute. */
function restoredOf({ usage }: Extract<GenerateEvent, { type: "finish" }>, given: number): readonly GenerateEvent[] {
  return given > 0 && usage.cachedTokens >= given ? [{ type: "restored", tokens: given }] : [];
}

/** A request that reads a part of the prompt for its state. */
const onlyRead = {
  ...{ maxTokens: 0, minTokens: 0, stopTokens: [], topLogprobs: null, promptLogprobs: null, continued: 0 },
  save: { at: [], end: true, fromPage: 0 },
} as const;

function joined(one: Uint32Array, other: Uint32Array): Uint32Array {
  const both = new Uint32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
