/** An answer that is computed on this device. */
import type { AnswerEvent } from "../api/answer-stream.ts";
import { FailureError, failureOf } from "../api/failure.ts";
import { exportSession } from "../api/session-file.ts";
import { callSession } from "../api/sessions.ts";
import type { DeviceClient } from "../device/client.ts";
import type { AnswerJob } from "./answer-writer.ts";
import type { Device } from "./device.ts";
import { conversationOf, modelFor } from "./selectors.ts";
import type { Store } from "./store.ts";
import { planTurn } from "./turn-plan.ts";
import { without } from "./update.ts";

const placement = { backend: "device", onEngine: true, onDevice: true, fromToken: 0 } as const;

export async function* deviceAnswer(
  store: Store,
  device: Device,
  { conversationId: id, answer, signal }: AnswerJob,
): AsyncGenerator<AnswerEvent> {
  const client = await unlessAborted(device.ready(), signal);
  await bring(store, client, id, signal);
  const conversation = conversationOf(store, id);
  const model = modelFor(store.get(), conversation, null);
  if (model === null) throw new FailureError({ kind: "protocol" });
  const earlier = conversation.messages.filter((message) => message.id !== answer.id);
  const { messages, max_tokens, seed, spikes, state, ...sampling } = planTurn(
    model,
    without(conversation, "session"),
    earlier,
    false,
  ).request(null);
  yield { type: "placement", placement };
  const request = {
    ...{ ...sampling, messages },
    ...(max_tokens === undefined ? {} : { max_tokens }),
    ...(seed === undefined ? {} : { seed }),
    ...(spikes === undefined ? {} : { spikes }),
    ...(state === undefined ? {} : { state }),
  };
  yield* client.answer({ conversation: id, request }, signal);
}

/** Nobody has to wait for a download to stop an answer. */
function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    result.then(resolve, reject);
  });
}

/** Takes over what the server remembers of the conversation. Without it the engine reads the text, which only a document is not part of. */
async function bring(store: Store, client: DeviceClient, id: string, signal: AbortSignal): Promise<void> {
  const conversation = conversationOf(store, id);
  const { document } = conversation;
  if (conversation.onDevice !== true) {
    try {
      const session = await sessionOf(store, id, signal);
      if (session !== null) {
        const passphrase = crypto.randomUUID();
        const file = await exportSession(session, passphrase, signal);
        await client.call("adopt", { conversation: id, file, passphrase });
      } else await client.call("forget", id);
    } catch (error) {
      if (document !== undefined || failureOf(error) === undefined) throw error;
      await client.call("forget", id);
    }
  }
  store.dispatch({ type: "device-held", id, held: true });
}

/** The server's session of it; of a conversation about a document there is one, and is one made. */
async function sessionOf(store: Store, id: string, signal: AbortSignal): Promise<string | null> {
  const conversation = conversationOf(store, id);
  const model = modelFor(store.get(), conversation, null);
  const { session, document } = conversation;
  if (model === null) return null;
  if (session?.model === model.id) return session.id;
  if (document === undefined) return null;
  const { prepare } = planTurn(model, conversation, conversation.messages, true);
  if (prepare === null) return null;
  const made = await callSession(prepare, signal);
  store.dispatch({ type: "session-linked", id, session: { id: made.id, model: model.id, system: conversation.settings.system, turns: 0 } });
  return made.id;
}
