/** A replica with the toy for a model: vLLM's routes, in this process, on the other side of a `fetch`. A script has it misbehave. */
import type { ModelDescription } from "../../../workers/contracts/engine.ts";
import type { Network } from "../../../workers/pool/backends/contract.ts";
import { completionsDialect, generateDialect, type AskedBody, type ReplicaDialect } from "./dialects.ts";
import { errorOf } from "./error-of.ts";
import { ScriptedStates, statesPath } from "./scripted-states.ts";
import { ToyState } from "../../workers/support/toy-state.ts";
import { toyAnswer, type Said, type Sampled } from "./toy-answer.ts";

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Aborted where the caller has let go. */
  readonly signal: AbortSignal;
}

export interface ReplicaScript {
  /** Answers in the model's place; undefined where it shall answer itself. */
  answers?(request: Request): Promise<Response | undefined> | Response | undefined;
  /** What a stream's event is sent as: any bytes, which may be none or many. */
  sends?(event: string, number: number): string;
  readonly delayMilliseconds?: number;
}

export const replicaKey = "a-key-of-the-scripted-replica";
/** What stands before it may ask for it; it does not itself. */
export const accessToken = { id: "id-of-a-token.access", secret: "secret-of-a-token" };
export const replicaAddress = "https://replica.example";

export class ScriptedReplica {
  script: ReplicaScript = {};
  readonly seen: Seen[] = [];
  /** Requests that are being answered. */
  running = 0;
  generatedTokens = 0;
  readonly states = new ScriptedStates();
  readonly #model: Pick<ModelDescription, "id" | "vocabularySize">;

  constructor(model: Pick<ModelDescription, "id" | "vocabularySize">) {
    this.#model = model;
  }

  /** As `fetch`: what is aborted rejects, or breaks the answer's body off. */
  readonly network: Network = async (request) => {
    const aborted = new Promise<never>((_resolve, reject) => {
      request.signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")), { once: true });
    });
    aborted.catch(() => undefined);
    if (request.signal.aborted) return await aborted;
    return await Promise.race([this.#answer(request), aborted]);
  };

  async #answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    const isOfStates = path.startsWith(statesPath);
    const body = request.body === null || isOfStates ? "" : await request.clone().text();
    this.seen.push({
      method: request.method,
      url: request.url,
      headers: Object.fromEntries(request.headers),
      body,
      signal: request.signal,
    });
    const scripted = await this.script.answers?.(request);
    if (scripted !== undefined) return scripted;
    if (request.headers.get("authorization") !== `Bearer ${replicaKey}`) return errorOf(401, "unauthorized");
    if (isOfStates) return await this.states.answer(request);
    const dialect = dialects[path];
    if (request.method !== "POST" || dialect === undefined) return errorOf(404, "not_found");
    const asked = dialect.read(body);
    if (asked.model !== this.#model.id) return errorOf(404, "model_not_found");
    const seed = /"seed":(-?\d+)/.exec(body)?.[1] ?? "0";
    const { tenant = "", import: from } = asked.states ?? {};
    const state = await this.states.imported(tenant, from, asked.prompt);
    const said = toyAnswer({
      fields: asked.fields,
      seed,
      prompt: Uint32Array.from(asked.prompt),
      ...(state === undefined ? {} : { state }),
      vocabularySize: this.#model.vocabularySize,
      delayMilliseconds: this.script.delayMilliseconds ?? 0,
    });
    return asked.stream ? this.#stream(said, asked, dialect, request.signal, state) : await this.#whole(said, asked, dialect);
  }

  async #whole(said: AsyncGenerator<Said>, { prompt, fields }: AskedBody, dialect: ReplicaDialect): Promise<Response> {
    this.running++;
    const sampled = [];
    let scores: ReturnType<ReplicaDialect["promptScores"]> = {};
    for await (const one of said) {
      if ("prompt" in one) scores = dialect.promptScores(one.prompt);
      else sampled.push(one);
    }
    this.running--;
    const choice = { ...dialect.choice(sampled, fields.logprobs), ...scores.onChoice };
    return Response.json({ choices: [choice], usage: usageOf(prompt.length, sampled.length), ...scores.onAnswer });
  }

  #stream(
    said: AsyncGenerator<Said>,
    asked: AskedBody,
    dialect: ReplicaDialect,
    signal: AbortSignal,
    from: ToyState | undefined,
  ): Response {
    let [number, isRunning] = [0, true];
    this.running++;
    const events = this.#events(said, asked, dialect, from);
    const end = () => {
      if (isRunning) this.running--;
      isRunning = false;
    };
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        signal.addEventListener("abort", () => {
          end();
          controller.error(new DOMException("aborted", "AbortError"));
        });
      },
      pull: async (controller) => {
        const next = await events.next();
        if (!isRunning) return;
        if (next.done === true) {
          end();
          controller.close();
          return;
        }
        const line = `data: ${next.value}\n\n`;
        const sent = this.script.sends?.(line, number++) ?? line;
        controller.enqueue(new TextEncoder().encode(sent === "" ? "\n" : sent));
      },
      cancel: end,
    });
    return new Response(body, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
  }

  async *#events(
    said: AsyncGenerator<Said>,
    { model, prompt, fields, states }: AskedBody,
    dialect: ReplicaDialect,
    from: ToyState | undefined,
  ): AsyncGenerator<string, void, undefined> {
    const cached = from?.tokens ?? 0;
    const sampled: Sampled[] = [];
    for await (const one of said) {
      if ("prompt" in one) continue;
      sampled.push(one);
      this.generatedTokens++;
      yield JSON.stringify({ model, choices: [dialect.choice([one], fields.logprobs)], usage: null });
    }
    // All but the last token, which nobody has read.
    const read = [...prompt, ...sampled.slice(0, -1).map(({ id }) => id)];
    if (states?.export !== undefined) await this.states.export(states.tenant, states.export, continuedFrom(from, read), read);
    yield JSON.stringify({ model, choices: [], usage: usageOf(prompt.length, sampled.length, cached) });
    yield "[DONE]";
  }
}

function continuedFrom(from: ToyState | undefined, read: readonly number[]): ToyState {
  const state = ToyState.from(from?.tokens ?? 0, from?.gone ?? [0, 0, 0, 0], from?.rows ?? []);
  for (const id of read.slice(state.tokens)) state.read(id);
  return state;
}

const dialects: Readonly<Record<string, ReplicaDialect>> = {
  "/inference/v1/generate": generateDialect,
  "/v1/completions": completionsDialect,
};

const usageOf = (prompt: number, completion: number, cached = 0) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_tokens_details: { cached_tokens: cached },
});
