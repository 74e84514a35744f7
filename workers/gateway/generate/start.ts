/** Opens every job's stream on the backend and gives back one sequence of events for all of them. */
import type { ChoiceEvent, Job } from "../../contracts/choice.ts";
import type { GenerationBackend } from "../../contracts/engine.ts";
import { unwrap } from "../backend.ts";
import { cancelled } from "../failures.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { readChoice } from "../../session/answer/choice.ts";
import { merge } from "../../session/answer/merge.ts";

/**
 * Refusals throw here, before a byte of the answer exists. Later failures throw from the events. `abort` ends everything at once;
 * it is also pulled when the events end for any reason, so that no choice outlives its request.
 */
export async function startGeneration(
  backend: GenerationBackend,
  jobs: readonly Job[],
  tokenizer: Tokenizer,
  abort: AbortController,
): Promise<AsyncGenerator<ChoiceEvent, void, undefined>> {
  const opened = await Promise.allSettled(jobs.map((job) => unwrap(backend.generate(job.request))));
  const refused = opened.find((outcome) => outcome.status === "rejected");
  if (refused !== undefined || abort.signal.aborted) {
    for (const outcome of opened) if (outcome.status === "fulfilled") void outcome.value.cancel("request refused").catch(() => undefined);
    throw refused === undefined ? cancelled() : refused.reason;
  }
  const streams = opened.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  const choices = jobs.map((job, at) => readChoice(job, streams[at] as ReadableStream<Uint8Array>, tokenizer, abort.signal));
  return endingWithAbort(merge(choices), abort);
}

async function* endingWithAbort<T>(events: AsyncGenerator<T, void, undefined>, abort: AbortController): AsyncGenerator<T, void, undefined> {
  try {
    yield* events;
  } finally {
    abort.abort();
  }
}
