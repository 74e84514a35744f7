import { chatMessages, chatRequest } from "../api/chat-request.ts";
import { streamChat } from "../api/chat-stream.ts";
import { FailureError, type Failure } from "../api/failure.ts";
import { fetchModel } from "../api/model.ts";
import { createMeter } from "./meter.ts";
import type { Store } from "./store.ts";
import type { AssistantMessage, Message } from "./types.ts";

/** Often enough to look continuous, seldom enough that a fast stream does not render for every token. */
const FLUSH_INTERVAL_MS = 40;

/** The answers being written, by conversation: one each, so that a second cannot interleave with the first. */
export interface Answers {
  /** Replaces message `from` and all after it (where given) by `added`, then lets the model answer. */
  start(conversationId: string, added: readonly Message[], from?: string): void;
  stop(conversationId: string): void;
}

export function createAnswers(store: Store): Answers {
  const running = new Map<string, AbortController>();
  return {
    start(conversationId, added, from) {
      running.get(conversationId)?.abort();
      const controller = new AbortController();
      running.set(conversationId, controller);
      const answer = emptyAnswer(store.get().model?.id ?? "");
      const change = { type: "messages-replaced", id: conversationId, added: [...added, answer], now: Date.now() } as const;
      store.dispatch(from === undefined ? change : { ...change, from });
      void write(store, conversationId, answer.id, controller.signal).finally(() => {
        if (running.get(conversationId) === controller) running.delete(conversationId);
      });
    },
    stop(conversationId) {
      running.get(conversationId)?.abort();
    },
  };
}

function emptyAnswer(model: string): AssistantMessage {
  return { id: crypto.randomUUID(), role: "assistant", text: "", status: "waiting", model, measure: { deltas: 0, streamingMs: 0 } };
}

async function write(store: Store, id: string, messageId: string, signal: AbortSignal): Promise<void> {
  const meter = createMeter(() => performance.now());
  let text = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (text === "") return;
    store.dispatch({ type: "answer-grew", id, messageId, text, measure: meter.read() });
    text = "";
  }
  function end(status: "done" | "stopped" | "failed", details: { failure?: Failure } = {}): void {
    flush();
    const reason = meter.finishReason();
    const measure = meter.read();
    const finish = reason === null ? {} : { finishReason: reason };
    store.dispatch({ type: "answer-ended", id, messageId, status, measure, now: Date.now(), ...finish, ...details });
  }

  try {
    for await (const event of streamChat(await buildRequest(store, id, messageId, signal), signal)) {
      meter.see(event);
      if (event.type === "state" && meter.read().deltas === 0)
        store.dispatch({ type: "answer-measured", id, messageId, measure: meter.read() });
      if (event.type !== "delta") continue;
      text += event.text;
      // The first text is shown at once.
      if (meter.read().deltas === 1) flush();
      else timer ??= setTimeout(flush, FLUSH_INTERVAL_MS);
    }
    end("done");
  } catch (error) {
    if (signal.aborted) end("stopped");
    else if (error instanceof FailureError) end("failed", { failure: error.failure });
    else {
      end("failed", { failure: { kind: "protocol" } });
      throw error;
    }
  }
}

async function buildRequest(store: Store, id: string, messageId: string, signal: AbortSignal) {
  const model = store.get().model ?? (await loadModel(store, signal));
  const conversation = store.get().conversations.find((candidate) => candidate.id === id);
  if (conversation === undefined) throw new DOMException("the conversation was deleted", "AbortError");
  const turns = conversation.messages.filter((message) => message.id !== messageId);
  return chatRequest(model.id, chatMessages(conversation.settings.system, turns), conversation.settings, model.state !== null);
}

/** Asks the server which model it serves and remembers it, or remembers why not. */
export async function loadModel(store: Store, signal: AbortSignal) {
  try {
    const model = await fetchModel(signal);
    store.dispatch({ type: "model-loaded", model });
    return model;
  } catch (error) {
    if (error instanceof FailureError) store.dispatch({ type: "model-failed", failure: error.failure });
    throw error;
  }
}
