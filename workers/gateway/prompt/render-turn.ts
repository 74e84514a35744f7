/** A session's turn as token ids: the first is a prompt as any other, later ones go on where the last one ended. */
import type { SessionFacts } from "../../contracts/session.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { invalidRequest } from "../failures.ts";
import type { TextMessage } from "../schema/messages.ts";
import { renderChat } from "./render-chat.ts";

export function renderTurn(model: ServedModel, session: SessionFacts, messages: readonly TextMessage[]): Uint32Array {
  const last = messages.at(-1);
  if (last?.role !== "user") {
    throw invalidRequest(
      `'messages': a turn of a session ends with the user's message; the last one is '${last?.role ?? "none"}'.`,
      "messages",
    );
  }
  const { tokens, turns } = session;
  if (tokens === 0) return renderChat(model, messages);
  if (model.chatTemplate === null) throw invalidRequest(`The model '${model.card.id}' has no chat template.`, "session_id");
  if (messages.some(({ role }) => role === "assistant")) {
    throw invalidRequest("'messages': only what is new is sent to a session; its answers it has.", "messages");
  }
  return model.chatTemplate.renderContinuation(turns === 0 ? "system" : "assistant", messages);
}
