import { stopStream } from "../api/answer-stream.ts";
import { fetchSession } from "../api/sessions.ts";
import { fetchTurns } from "../api/turns.ts";
import { newAnswer, resumedAnswer } from "./answer-source.ts";
import { writeAnswer, type AnswerJob } from "./answer-writer.ts";
import { attempt, soon } from "./attempt.ts";
import type { Device } from "./device.ts";
import { modelFor } from "./selectors.ts";
import { releaseSessions } from "./sessions.ts";
import type { Store } from "./store.ts";
import type { AssistantMessage, Message } from "./types.ts";

/** How long a stopped answer may take to send its end before the connection is closed on it. */
const stopPatienceMs = 3_000;

/** The answers being written, by conversation: one each, so that a second cannot interleave with the first. */
export interface Answers {
  /** Replaces message `from` and all after it (where given), which stay as a branch, by `added`, then lets the model answer. */
  start(conversationId: string, added: readonly Message[], from?: string): void;
  /** Takes up the stream of an answer that is being written, after a reload or a lost connection. */
  resume(conversationId: string, answer: AssistantMessage): void;
  stop(conversationId: string): void;
}

interface Running {
  readonly job: AnswerJob;
  readonly abort: () => void;
}

export function createAnswers(store: Store, device: Device): Answers {
  const running = new Map<string, Running>();

  function run(conversationId: string, answer: AssistantMessage, write: (job: AnswerJob) => Promise<void>): void {
    const controller = new AbortController();
    const { stream = null, turn = null } = answer.stream ?? {};
    const job: AnswerJob = { conversationId, answer, signal: controller.signal, stream, turn, stopped: false };
    const entry = { job, abort: () => controller.abort() };
    running.set(conversationId, entry);
    void write(job).finally(() => {
      if (running.get(conversationId) === entry) running.delete(conversationId);
      void learnOutcome(store, job);
    });
  }

  /** The server is told; the answer's own end then comes over its stream. */
  async function end({ job, abort }: Running): Promise<void> {
    job.stopped = true;
    if (job.stream === null) {
      abort();
      return;
    }
    const patience = setTimeout(abort, stopPatienceMs);
    await stopStream(job.stream, soon()).catch(() => {
      clearTimeout(patience);
      abort();
    });
  }

  return {
    start(conversationId, added, from) {
      const previous = running.get(conversationId);
      const before = store.get().conversations.find(({ id }) => id === conversationId);
      const answer = emptyAnswer(modelFor(store.get(), before ?? null, null)?.id ?? "");
      const change = { type: "messages-replaced", id: conversationId, added: [...added, answer], now: Date.now() } as const;
      store.dispatch(from === undefined ? change : { ...change, from });
      if (before !== undefined) releaseSessions(store, before);
      run(conversationId, answer, async (job) => {
        if (previous !== undefined) await end(previous).finally(previous.abort);
        await writeAnswer(store, job, newAnswer(store, device, job));
      });
    },
    resume(conversationId, answer) {
      const { stream } = answer;
      if (stream === undefined || running.has(conversationId)) return;
      store.dispatch({ type: "answer-resumed", id: conversationId, messageId: answer.id });
      run(conversationId, answer, async (job) => {
        await writeAnswer(store, job, resumedAnswer(store, job, stream));
      });
    },
    stop(conversationId) {
      const entry = running.get(conversationId);
      if (entry !== undefined) void end(entry);
    },
  };
}

/** What the server says of the session afterwards; and of an answer whose end was not seen, whether it was kept, and what of it. */
async function learnOutcome(store: Store, { conversationId: id, answer, turn }: AnswerJob): Promise<void> {
  const find = () => store.get().conversations.find((conversation) => conversation.id === id);
  const session = find()?.session;
  // What goes on here the server does not hear of.
  if (session === undefined || find()?.onDevice === true) return;
  await attempt(async () => {
    const facts = await fetchSession(session.id, soon());
    store.dispatch({ type: "session-told", id, facts });
    const last = find()?.messages.at(-1);
    const unseen = last?.id === answer.id && last.role === "assistant" && last.turn === undefined;
    if (!unseen || turn === null || facts.turns !== turn) return;
    const kept = (await fetchTurns(session.id, soon())).find(({ number }) => number === turn)?.messages.at(-1);
    if (kept?.role === "assistant") store.dispatch({ type: "answer-kept", id, messageId: answer.id, text: kept.content, turn });
  });
}

function emptyAnswer(model: string): AssistantMessage {
  return { id: crypto.randomUUID(), role: "assistant", text: "", status: "waiting", model, measure: { deltas: 0, streamingMs: 0 } };
}
