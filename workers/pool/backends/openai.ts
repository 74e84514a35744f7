/** Any server that takes token ids at `/v1/completions` and returns them: plain vLLM, and those that speak as it does. It moves no states. */
import { ServiceError } from "../../contracts/errors.ts";
import type { Ability } from "../../contracts/abilities.ts";
import type { GenerateRequest, ModelDescription } from "../../contracts/engine.ts";
import type { BackendCall, EventBatches, Network, ReplicaBackend } from "./contract.ts";
import { answerEvents, answerTo, ask, isStreamed, withEnd, type Question } from "./http-answer.ts";
import { httpRefusalOf } from "./http-refusal.ts";
import { completionBody, openaiDialect } from "./openai-dialect.ts";
import { outgoing } from "./outgoing.ts";
import { ReplicaHttp, type HttpOptions } from "./replica-http.ts";

const path = "/v1/completions";
/** What this dialect has words for, whatever a server is said to be able to. */
const translated: ReadonlySet<Ability> = new Set(["prompt_logprobs", "logit_bias", "long_seeds"]);
const allowedPaths = /^\/v1\/completions$/;

export class OpenAiBackend implements ReplicaBackend {
  readonly #network: Network;
  readonly #options: HttpOptions;

  constructor(network: Network, options: HttpOptions = {}) {
    this.#network = network;
    this.#options = options;
  }

  async generate(call: BackendCall): ReturnType<ReplicaBackend["generate"]> {
    const { request, signal, watch } = call;
    const model = { ...call.model, abilities: call.model.abilities.filter((ability) => translated.has(ability)) };
    const refusal = httpRefusalOf(request, model);
    if (refusal !== undefined) return { ok: false, failure: refusal };
    const question = questionOf(request, model);
    const leaving = new AbortController();
    const http = new ReplicaHttp(this.#network, allowedPaths, call, this.#options);
    const asking = () => ask(http, question, AbortSignal.any([signal, leaving.signal]));
    try {
      // A whole answer's headers come with it: the stream that waits for them gives signs of life.
      const response = isStreamed(request) ? await asking() : asking;
      return { ok: true, value: outgoing(eventsOf(response, question), { onEnd: () => leaving.abort(), endsWithState: false, watch }) };
    } catch (cause) {
      if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
      throw cause;
    }
  }
}

function questionOf(request: GenerateRequest, model: ModelDescription): Question {
  const askedTokens = Math.max(request.maxTokens, 1);
  const body = completionBody(request, model, askedTokens);
  return { request, model, prompt: request.prompt, askedTokens, path, body, dialect: openaiDialect(model.id) };
}

async function* eventsOf(response: Response | (() => Promise<Response>), question: Question): EventBatches {
  const answer = answerTo(question);
  const last = yield* answerEvents(response instanceof Response ? response : await response(), question, answer);
  yield* withEnd(last, answer);
}
