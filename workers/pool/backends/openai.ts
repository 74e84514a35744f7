/** Any server that takes token ids at `/v1/completions` and returns them: plain vLLM, and those that speak as it does. It moves no states. */
import { ServiceError } from "../../contracts/errors.ts";
import type { GenerateEvent } from "../../contracts/engine.ts";
import type { BackendCall, Network, ReplicaBackend } from "./contract.ts";
import { answerEvents, answerTo, ask, type Question } from "./http-answer.ts";
import { httpRefusalOf } from "./http-refusal.ts";
import { completionBody, openaiDialect } from "./openai-dialect.ts";
import { outgoing } from "./outgoing.ts";
import { ReplicaHttp, type HttpOptions } from "./replica-http.ts";

const path = "/v1/completions";
const allowedPaths = /^\/v1\/completions$/;

export class OpenAiBackend implements ReplicaBackend {
  readonly #network: Network;
  readonly #options: HttpOptions;

  constructor(network: Network, options: HttpOptions = {}) {
    this.#network = network;
    this.#options = options;
  }

  async generate(call: BackendCall): ReturnType<ReplicaBackend["generate"]> {
    const { request, model, signal, watch } = call;
    const refusal = httpRefusalOf(request, model);
    if (refusal !== undefined) return { ok: false, failure: refusal };
    const question = questionOf(call);
    const leaving = new AbortController();
    const http = new ReplicaHttp(this.#network, allowedPaths, call, this.#options);
    try {
      const response = await ask(http, question, AbortSignal.any([signal, leaving.signal]));
      return { ok: true, value: outgoing(eventsOf(response, question), { onEnd: () => leaving.abort(), endsWithState: false, watch }) };
    } catch (cause) {
      if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
      throw cause;
    }
  }
}

function questionOf({ request, model }: BackendCall): Question {
  const askedTokens = Math.max(request.maxTokens, 1);
  const body = completionBody(request, model, askedTokens);
  return { request, model, prompt: request.prompt, askedTokens, path, body, dialect: openaiDialect(model.id) };
}

async function* eventsOf(response: Response, question: Question): AsyncGenerator<GenerateEvent, void, undefined> {
  const answer = answerTo(question);
  yield* answerEvents(response, question, answer);
  yield answer.end();
}
