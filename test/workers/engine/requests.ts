import type { GenerateEvent, GenerateRequest, Outcome, SamplingParameters } from "../../../workers/contracts/engine.ts";
import { decodeEvents } from "../../../workers/contracts/event-stream.ts";

const greedy: SamplingParameters = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  seed: 1,
};

export type RequestChanges = Partial<Omit<GenerateRequest, "sampling" | "prompt">> & {
  readonly prompt?: readonly number[];
  readonly sampling?: Partial<SamplingParameters>;
};

export function request({ prompt = [1, 2, 3], sampling, ...changes }: RequestChanges = {}): GenerateRequest {
  return {
    requestId: "test",
    prompt: Uint32Array.from(prompt),
    maxTokens: 5,
    minTokens: 0,
    stopTokens: [],
    sampling: { ...greedy, ...sampling },
    topLogprobs: null,
    promptLogprobs: null,
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
