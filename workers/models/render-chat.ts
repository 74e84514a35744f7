/** Chat messages as token ids: a last message of the assistant is continued, any other is answered. */
import type { TranscriptMessage } from "../contracts/session.ts";
import { invalidRequest } from "../tokenizer/failures.ts";
import { spokenMessages } from "./spoken-messages.ts";
import type { ServedModel } from "./served-model.ts";

/** @throws ServiceError where the model has no template, or the template refuses the messages. */
export function renderChat(model: ServedModel, messages: readonly TranscriptMessage[], addGenerationPrompt = true): Uint32Array {
  if (model.chatTemplate === null)
    throw invalidRequest(`The model '${model.card.id}' has no chat template: use /v1/completions.`, "messages");
  const continues = messages.at(-1)?.role === "assistant";
  return Uint32Array.from(
    model.chatTemplate.renderToTokens(spokenMessages(messages), continues ? { continueFinalMessage: true } : { addGenerationPrompt }),
  );
}
