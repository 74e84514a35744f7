import {
  greedyParameters,
  greedySampling,
  type GenerateEvent,
  type GenerateRequest,
  type ModelVersion,
  type Outcome,
  type SamplingParameters,
} from "../../../workers/contracts/engine.ts";
import { decodeEvents } from "../../../workers/contracts/event-stream.ts";

/** Whose requests these are. */
export const testModel: ModelVersion = { id: "test-model", digest: "d".repeat(64), tokenizerDigest: "e".repeat(64) };

export type RequestChanges = Partial<Omit<GenerateRequest, "sampling" | "prompt">> & {
  readonly prompt?: readonly number[];
  readonly sampling?: Partial<SamplingParameters>;
};

export function request({ prompt = [1, 2, 3], sampling, ...changes }: RequestChanges = {}): GenerateRequest {
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

export async function collect(outcome: Outcome<ReadableStream<Uint8Array>>): Promise<GenerateEvent[]> {
  if (!outcome.ok) throw new Error(`refused: ${JSON.stringify(outcome.failure)}`);
  const events: GenerateEvent[] = [];
  for await (const event of decodeEvents(outcome.value)) events.push(event);
  return events;
}

export function tokensOf(events: readonly GenerateEvent[]): number[] {
  return events.flatMap((event) => (event.type === "token" ? [event.id] : []));
}
