/** Where an answer's events come from: a request, or a stream that is running or has run already. */
import { streamAnswer, type AnswerEvent, type StreamPosition } from "../api/answer-stream.ts";
import { failureOf } from "../api/failure.ts";
import { fetchTurns } from "../api/turns.ts";
import type { AnswerJob } from "./answer-writer.ts";
import { attempt } from "./attempt.ts";
import type { Device } from "./device.ts";
import { deviceAnswer } from "./device-answer.ts";
import { answersHere, conversationOf, modelFor } from "./selectors.ts";
import type { Store } from "./store.ts";
import { prepareTurn } from "./turn.ts";

type AnswerEvents = AsyncGenerator<AnswerEvent, void, undefined>;

/** A session that is gone when its turn comes is replaced once: the whole conversation is then read again. */
export async function* newAnswer(store: Store, device: Device, job: AnswerJob): AnswerEvents {
  const { conversationId: id, answer, signal } = job;
  if (answersHere({ ...store.get(), model: modelFor(store.get(), conversationOf(store, id), null) })) {
    yield* deviceAnswer(store, device, job);
    return;
  }
  // Where that fails, the server reads the text.
  if (conversationOf(store, id).onDevice === true) await attempt(() => device.handOver(conversationOf(store, id)));
  const prepare = async () => {
    const { request, turn } = await prepareTurn(store, id, answer.id, signal);
    job.turn = turn;
    return { request };
  };
  try {
    yield* streamAnswer(await prepare(), signal);
  } catch (error) {
    if (failureOf(error)?.kind !== "gone" || job.turn === null) throw error;
    store.dispatch({ type: "session-linked", id, session: null });
    yield* streamAnswer(await prepare(), signal);
  }
}

/** A stream that the server has let go of may have ended well: a session keeps what was said. */
export async function* resumedAnswer(store: Store, job: AnswerJob, position: StreamPosition): AnswerEvents {
  let { text } = job.answer;
  try {
    for await (const event of streamAnswer({ position }, job.signal)) {
      if (event.type === "delta") text += event.text;
      yield event;
    }
  } catch (error) {
    const kept = failureOf(error)?.kind === "cut" ? await keptAnswer(store, job) : null;
    if (kept?.text.startsWith(text) !== true) throw error;
    if (kept.text.length > text.length) yield { type: "delta", text: kept.text.slice(text.length) };
    yield { type: "finish", reason: kept.reason };
  }
}

async function keptAnswer(store: Store, { conversationId, turn, signal }: AnswerJob) {
  const session = store.get().conversations.find(({ id }) => id === conversationId)?.session;
  if (session === undefined || turn === null) return null;
  const kept = (await fetchTurns(session.id, signal)).find(({ number }) => number === turn);
  const text = kept?.messages.findLast(({ role }) => role === "assistant")?.content;
  if (kept === undefined || text === undefined || kept.finish === "failed") return null;
  return { text, reason: kept.finish === "length" ? ("length" as const) : ("stop" as const) };
}
