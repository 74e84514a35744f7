/** Asks a backend for tokens and reads everything it sends. */
import type { GenerateEvent, GenerateRequest, GenerationBackend, Outcome } from "../../workers/contracts/engine.ts";

export interface Generated {
  readonly all: readonly GenerateEvent[];
  readonly tokens: number[];
  readonly end: GenerateEvent | undefined;
}

export const greedy = (prompt: readonly number[]): GenerateRequest => ({
  requestId: "conformance",
  prompt: Uint32Array.from(prompt),
  maxTokens: 4,
  minTokens: 0,
  stopTokens: [],
  sampling: {
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    logitBias: [],
    seed: 0,
  },
  topLogprobs: null,
  promptLogprobs: null,
});

export function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.failure.code}: ${outcome.failure.message}`);
  return outcome.value;
}

export async function openStream(backend: GenerationBackend, request: GenerateRequest): Promise<ReadableStream<Uint8Array>> {
  return valueOf(await backend.generate(request));
}

/** Every line as it came: unlike `decodeEvents` it forgives nothing, so that a second terminal event would show. */
export async function collect(stream: ReadableStream<Uint8Array>): Promise<GenerateEvent[]> {
  const text = await new Response(stream).text();
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line is not complete");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as GenerateEvent);
}

export async function generate(backend: GenerationBackend, request: GenerateRequest): Promise<Generated> {
  const all = await collect(await openStream(backend, request));
  return { all, tokens: all.flatMap((event) => (event.type === "token" ? [event.id] : [])), end: all.at(-1) };
}
