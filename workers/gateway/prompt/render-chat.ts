/** Chat messages as token ids: a last message of the assistant is continued, any other is answered. */
import { invalidRequest } from "../failures.ts";
import type { ServedModel } from "../../models/served-model.ts";
import type { TextMessage } from "../schema/messages.ts";

export function renderChat(model: ServedModel, messages: readonly TextMessage[], addGenerationPrompt = true): Uint32Array {
  if (model.chatTemplate === null)
    throw invalidRequest(`The model '${model.card.id}' has no chat template: use /v1/completions.`, "messages");
  const continues = messages.at(-1)?.role === "assistant";
  return Uint32Array.from(
    model.chatTemplate.renderToTokens(messages, continues ? { continueFinalMessage: true } : { addGenerationPrompt }),
  );
}
