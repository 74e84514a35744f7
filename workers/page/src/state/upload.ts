/** Brings a text to the server chunk by chunk, and follows how it is read: from wherever it is, over as many connections as it takes. */
import { appendContext, fetchContext, followContext, type ContextFacts } from "../api/contexts.ts";
import { failureOf, FailureError } from "../api/failure.ts";
import { pause } from "../api/pause.ts";

/** Small enough to show progress on a slow line, and to send again when it is lost. */
const chunkBytes = 256 * 1024;
const retryDelaysMs = [500, 2_000, 5_000, 15_000] as const;

/** `told` hears of every change. Throws what the server or the connection refuses for good, and the abort's reason. */
export async function uploadText(facts: ContextFacts, text: Blob, told: (facts: ContextFacts) => void, signal: AbortSignal): Promise<void> {
  let latest = facts;
  while (latest.stage === "uploading") {
    const sent = latest;
    latest = await persistently(() => sendChunk(sent, text, signal), signal);
    told(latest);
    if (sent.receivedBytes < text.size && latest.receivedBytes <= sent.receivedBytes) throw new FailureError({ kind: "protocol" });
    if (latest.receivedBytes >= text.size) return;
  }
}

/** Until the document is ready or has failed. */
export async function followReading(id: string, told: (facts: ContextFacts) => void, signal: AbortSignal): Promise<void> {
  await persistently(async (progressed) => {
    for await (const facts of followContext(id, signal)) {
      progressed();
      told(facts);
    }
  }, signal);
}

async function sendChunk({ id, receivedBytes }: ContextFacts, text: Blob, signal: AbortSignal): Promise<ContextFacts> {
  const end = Math.min(receivedBytes + chunkBytes, text.size);
  try {
    return await appendContext(id, receivedBytes, text.slice(receivedBytes, end), end === text.size, signal);
  } catch (error) {
    if (failureOf(error)?.kind !== "conflict") throw error;
    const facts = await fetchContext(id, signal);
    // It has more than was known, such as a chunk whose answer was lost; else it is still busy with one.
    if (facts.stage !== "uploading" || facts.receivedBytes !== receivedBytes) return facts;
    throw error;
  }
}

/** Again and again while it is the connection's fault, or the server is busy. */
async function persistently<T>(act: (progressed: () => void) => Promise<T>, signal: AbortSignal): Promise<T> {
  let tries = 0;
  while (true) {
    try {
      return await act(() => (tries = 0));
    } catch (error) {
      signal.throwIfAborted();
      const failure = failureOf(error);
      const delay = retryDelaysMs[tries++];
      const passing = failure !== undefined && ["network", "offline", "cut", "busy", "conflict"].includes(failure.kind);
      if (!passing || delay === undefined) throw error;
      await pause(failure.retryAfterSeconds === undefined ? delay : failure.retryAfterSeconds * 1000, signal);
    }
  }
}
