/** What is asked about, and a question about it, as token ids: the first is read once, and every question follows it. */
import type { TranscriptMessage } from "../contracts/transcript.ts";
import { invalidRequest } from "../tokenizer/failures.ts";
import type { ChatTemplate } from "../tokenizer/chat-template.ts";
import type { ServedModel } from "./served-model.ts";
import { spokenMessages } from "./spoken-messages.ts";

/** Whose message is the last that was read, and open: the user's goes on with the question, after any other's the question is a message of its own. */
export type OpenRole = "system" | "user" | "assistant";

export interface RenderedInput {
  readonly tokens: Uint32Array;
  readonly open: OpenRole;
}

/** @throws ServiceError where the model has no template, or the template refuses the messages. */
export function renderInput(model: ServedModel, messages: readonly TranscriptMessage[]): RenderedInput {
  const spoken = spokenMessages(messages);
  const open = spoken.at(-1)?.role;
  if (open === undefined) throw invalidRequest("'input': must hold at least one message.", "input");
  return { tokens: templateOf(model).renderOpen(spoken), open };
}

/** With the header of its answer. @throws ServiceError where the model has no template, or it can't go on after what was read. */
export function renderQuestion(model: ServedModel, open: OpenRole, text: string): Uint32Array {
  const template = templateOf(model);
  return open === "user" ? template.renderRest(`\n\n${text}`) : template.renderContinuation(open, [{ role: "user", content: text }]);
}

/** A text that says nothing, in the place of one. */
const noInput = "N/A";

/** The question asked of nothing, as a prompt of its own: what the model answers to it whatever it has read. */
export function renderUnasked(model: ServedModel, text: string): Uint32Array {
  return templateOf(model).renderToTokens([{ role: "user", content: `${noInput}\n\n${text}` }], { addGenerationPrompt: true });
}

function templateOf(model: ServedModel): ChatTemplate {
  if (model.chatTemplate !== null) return model.chatTemplate;
  throw invalidRequest(`The model '${model.card.id}' has no chat template, so that nothing can be asked of it.`, "model");
}
