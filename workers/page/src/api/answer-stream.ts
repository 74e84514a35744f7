/** An answer's events from its request to its end, over as many connections as that takes. */
import { cacheReport, type CacheReport } from "./cache-report.ts";
import type { ChatRequest } from "./chat-request.ts";
import { parseChunk, type ChatEvent } from "./chat-stream.ts";
import { readEventStream } from "./event-stream.ts";
import { connectionFailure, FailureError, type Failure } from "./failure.ts";
import { pause } from "./pause.ts";
import { request } from "./request.ts";

/** Where a reader of a stream is. */
export interface StreamPosition {
  readonly stream: string;
  /** The newest event's id; empty before the first. */
  readonly eventId: string;
}

/** `opened` comes once a connection; `position` before the events that it names, so that whoever keeps both keeps them together. */
export type AnswerEvent =
  | ChatEvent
  | { readonly type: "opened"; readonly stream: string | null; readonly session: string | null; readonly cache: CacheReport | null }
  | { readonly type: "position"; readonly eventId: string }
  /** The connection was lost, and the stream is asked for again. */
  | { readonly type: "lost" };

/** A new answer, or one that is being written already. */
export type AnswerSource = { readonly request: ChatRequest } | { readonly position: StreamPosition };

/** Tries without a single event in between. The server keeps an answer's stream for longer than these take together. */
const retryDelaysMs = [0, 500, 1_500, 4_000, 8_000] as const;

/** Its return is the one good end, a thrown {@link FailureError} the only bad one. Aborting `signal` closes the connection. */
export async function* streamAnswer(source: AnswerSource, signal: AbortSignal): AsyncGenerator<AnswerEvent, void, undefined> {
  let position = "position" in source ? source.position : null;
  let tries = 0;
  while (true) {
    try {
      const response = await (position === null ? begin(source, signal) : comeBack(position, signal));
      const stream = response.headers.get("x-spikingbrain-stream");
      const [session, cache] = [response.headers.get("x-spikingbrain-session"), cacheReport(response.headers.get("x-spikingbrain-cache"))];
      yield { type: "opened", stream, session, cache };
      if (position === null && stream !== null) position = { stream, eventId: "" };
      for await (const { id, data } of eventsOf(response)) {
        if (data === "[DONE]") return;
        tries = 0;
        if (position !== null && position.eventId !== id) {
          position = { ...position, eventId: id };
          yield { type: "position", eventId: id };
        }
        yield* parseChunk(data);
      }
      throw new FailureError({ kind: "cut" });
    } catch (cause) {
      signal.throwIfAborted();
      const delay = retryDelaysMs[tries++];
      if (position === null || !(cause instanceof FailureError)) throw cause;
      // The server has given the answer up; what had arrived is all there is.
      if (cause.failure.kind === "gone") throw new FailureError({ kind: "cut" }, { cause });
      if (delay === undefined || !mayComeBack(cause.failure)) throw cause;
      yield { type: "lost" };
      await pause(delay, signal);
    }
  }
}

/** Ends the answer where it is, whoever reads it. */
export async function stopStream(stream: string, signal: AbortSignal): Promise<void> {
  await request(`/v1/streams/${encodeURIComponent(stream)}`, { method: "DELETE", signal });
}

function begin(source: AnswerSource, signal: AbortSignal): Promise<Response> {
  if ("position" in source) return comeBack(source.position, signal);
  return request("/v1/chat/completions", { method: "POST", json: source.request, signal });
}

function comeBack({ stream, eventId }: StreamPosition, signal: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = eventId === "" ? {} : { "last-event-id": eventId };
  return request(`/v1/streams/${encodeURIComponent(stream)}`, { headers, signal });
}

/** A connection that breaks off is a failure like any other. */
async function* eventsOf({ body, status }: Response) {
  if (body === null) throw new FailureError({ kind: "protocol", status });
  const events = readEventStream(body);
  try {
    yield* events;
  } catch (cause) {
    throw new FailureError(connectionFailure(navigator.onLine), { cause });
  }
}

/** A failure that the stream itself carries has no status and is its end; so is a refusal. */
function mayComeBack({ kind, status }: Failure): boolean {
  return kind === "cut" || kind === "network" || kind === "offline" || (status !== undefined && status >= 500);
}
