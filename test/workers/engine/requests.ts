import type { ModelVersion } from "../../../workers/contracts/model-version.ts";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import {
  greedyParameters,
  greedySampling,
  type GenerateEvent,
  type GenerateRequest,
  type GenerationBackend,
  type SamplingParameters,
} from "../../../workers/contracts/engine.ts";
import { decodeEvents } from "../../../workers/contracts/event-stream.ts";

/** Whose requests these are. */
export const testModel: ModelVersion = { id: "test-model", digest: "d".repeat(64), tokenizerDigest: "e".repeat(64) };

export type RequestChanges = Partial<Omit<GenerateRequest, "sampling" | "prompt" | "resume">> & {
  readonly prompt?: readonly number[];
  readonly sampling?: Partial<SamplingParameters>;
};

/** With a state by reference, as a backend takes it, or an open one, as its scheduler does. */
export function request<Resume = never>({
  prompt = [1, 2, 3],
  sampling,
  ...changes
}: RequestChanges & { readonly resume?: Resume } = {}): Omit<GenerateRequest, "resume"> & { readonly resume?: Resume } {
  return {
    ...greedyParameters,
    requestId: "test",
    model: testModel,
    prompt: Uint32Array.from(prompt),
    maxTokens: 5,
    sampling: { ...greedySampling, seed: 1, ...sampling },
    ...changes,
  };
}

/** Asks a backend for its first model. */
export async function ask(
  backend: Pick<GenerationBackend, "models" | "generate">,
  changes: RequestChanges & Pick<GenerateRequest, "resume"> = {},
): ReturnType<GenerationBackend["generate"]> {
  const models = await backend.models();
  if (!models.ok) throw new Error(models.failure.message);
  const [model = testModel] = models.value;
  return await backend.generate(request({ model, ...changes }));
}

export async function collect(outcome: Outcome<ReadableStream<Uint8Array>>): Promise<GenerateEvent[]> {
  if (!outcome.ok) throw new Error(`refused: ${JSON.stringify(outcome.failure)}`);
  const events: GenerateEvent[] = [];
  for await (const event of decodeEvents(outcome.value)) events.push(event);
  return events;
}

export function tokensOf(events: readonly GenerateEvent[]): number[] {
  return events.flatMap((event) => (event.type === "token" ? [event.id] : []));
}
