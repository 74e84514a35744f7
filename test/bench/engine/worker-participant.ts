/** The engine Worker in workerd, timed from outside: its stream is read over HTTP past the gateway (worker/index.ts). */
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import type { GenerateEvent, ModelDescription } from "../../../workers/contracts/engine.ts";
import { decodeEvents } from "../../../workers/contracts/event-stream.ts";
import type { Measurement, Participant, Task } from "./participant.ts";

export async function workerParticipant(url: string): Promise<Participant> {
  const outcome = (await (await fetch(`${url}/direct/models`)).json()) as Outcome<readonly ModelDescription[]>;
  if (!outcome.ok) throw new Error(`The engine Worker cannot be asked: ${outcome.failure.message}`);
  const [{ kernel, contextLength }] = outcome.value as [ModelDescription];
  return {
    name: `engine Worker, ${kernel}`,
    description: `workerd under wrangler dev, kernel ${kernel}; request, answer and hand-over of every token are in its figures`,
    contextLength,
    measure: (task) => measure(url, task),
    close: () => Promise.resolve(),
  };
}

async function measure(url: string, { prompt, decode }: Task): Promise<Measurement> {
  const begin = performance.now();
  // The first token ends the prefill; the others are one decoding step each.
  const body = JSON.stringify({ prompt, maxTokens: decode + 1 });
  const response = await fetch(`${url}/direct/generate`, { method: "POST", body });
  if (!response.ok || response.body === null) throw new Error(`The engine Worker answered ${response.status}: ${await response.text()}`);
  const tokens: number[] = [];
  let first: number | undefined;
  let last = 0;
  let end: GenerateEvent | undefined;
  for await (const event of decodeEvents(response.body)) {
    end = event;
    if (event.type !== "token") continue;
    last = performance.now();
    first ??= last;
    tokens.push(event.id);
  }
  if (first === undefined || tokens.length !== decode + 1 || end?.type !== "finish") {
    throw new Error(`The engine Worker made ${tokens.length} of ${decode + 1} tokens: ${JSON.stringify(end)}`);
  }
  return {
    prefillSeconds: (first - begin) / 1000,
    decodeSeconds: (last - first) / 1000,
    prefillProcessorSeconds: null,
    decodeProcessorSeconds: null,
    tokens: tokens.slice(0, decode),
  };
}
