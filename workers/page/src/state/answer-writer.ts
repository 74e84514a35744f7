import type { AnswerEvent } from "../api/answer-stream.ts";
import { failureOf, type Failure } from "../api/failure.ts";
import { createMeter } from "./meter.ts";
import type { Store } from "./store.ts";
import type { AssistantMessage } from "./types.ts";

/** Often enough to look continuous, seldom enough that a fast stream does not render for every token. */
const flushIntervalMs = 40;

/** One answer while it is written. */
export interface AnswerJob {
  readonly conversationId: string;
  /** As it was when writing began. */
  readonly answer: AssistantMessage;
  readonly signal: AbortSignal;
  /** Its stream, once the server has named it. */
  stream: string | null;
  /** The turn of a session that it will end. */
  turn: number | null;
  /** Whether the person has had enough. */
  stopped: boolean;
}

/** Puts an answer's events into the store until it ends, well or badly. */
export async function writeAnswer(store: Store, job: AnswerJob, events: AsyncIterable<AnswerEvent>): Promise<void> {
  const { conversationId: id, answer, signal } = job;
  const address = { id, messageId: answer.id };
  const meter = createMeter(() => performance.now(), answer.measure);
  if (answer.stream !== undefined) meter.lost();
  let text = "";
  let eventId: string | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (text === "") return;
    store.dispatch({ type: "answer-grew", ...address, text, measure: meter.read(), ...(eventId === undefined ? {} : { eventId }) });
    text = "";
  }

  function end(status: "done" | "stopped" | "failed", failure?: Failure): void {
    flush();
    const reason = meter.finishReason();
    const unreachable = failure?.kind === "network" || failure?.kind === "offline";
    store.dispatch({
      type: "answer-ended",
      ...address,
      status,
      measure: meter.read(),
      now: Date.now(),
      ...(reason === null ? {} : { finishReason: reason }),
      ...(failure === undefined ? {} : { failure, resumable: unreachable && job.stream !== null }),
    });
  }

  function see(event: AnswerEvent): void {
    if (event.type === "position") eventId = event.eventId;
    else if (event.type === "lost") meter.lost();
    else if (event.type === "opened") {
      if (event.cache !== null) meter.began(event.cache);
      open(store, job, event);
    } else meter.see(event);
    const isNews = event.type === "placement" || (event.type === "state" && meter.read().deltas === 0);
    if (isNews) store.dispatch({ type: "answer-measured", ...address, measure: meter.read() });
    if (event.type !== "delta") return;
    text += event.text;
    // The first text is shown at once.
    if (meter.read().deltas === 1) flush();
    else timer ??= setTimeout(flush, flushIntervalMs);
  }

  try {
    for await (const event of events) see(event);
    end(job.stopped ? "stopped" : "done");
  } catch (error) {
    if (signal.aborted) end("stopped");
    else end("failed", failureOf(error) ?? { kind: "protocol" });
    if (!signal.aborted && failureOf(error) === undefined) throw error;
  }
}

function open(store: Store, job: AnswerJob, { stream, session }: Extract<AnswerEvent, { type: "opened" }>): void {
  const { conversationId: id, answer, turn } = job;
  const link = store.get().conversations.find((conversation) => conversation.id === id)?.session;
  // A busy session's turn is taken by a fork of it, which is the conversation from here on.
  if (session !== null && link !== undefined && turn !== null && link.id !== session)
    store.dispatch({ type: "session-linked", id, session: { ...link, id: session, turns: null } });
  if (stream === null || job.stream !== null) return;
  job.stream = stream;
  store.dispatch({ type: "answer-opened", id, messageId: answer.id, stream: { stream, eventId: "", turn } });
}
