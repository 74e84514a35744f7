/** Chat messages as token ids: a last message of the assistant is continued, any other is answered. */
import type { TranscriptMessage } from "../contracts/transcript.ts";
import type { ToldFunction } from "../contracts/tools.ts";
import { withPythonNumbers } from "../encoding/exact-json.ts";
import { invalidRequest } from "../tokenizer/failures.ts";
import { toolOfTemplate } from "./call-form.ts";
import { spokenMessages } from "./spoken-messages.ts";
import type { ServedModel } from "./served-model.ts";
import { tellsTools, withToolsTold } from "./told-tools.ts";

export interface ChatOptions {
  /** Whether the header of the answer follows; it does where this is left out. */
  readonly addGenerationPrompt?: boolean;
  /** Functions that the model is told of; none where they are left out. */
  readonly tools?: readonly ToldFunction[];
}

/** @throws ServiceError where the model has no template, or the template refuses the messages. */
export function renderChat(
  model: ServedModel,
  messages: readonly TranscriptMessage[],
  { addGenerationPrompt = true, tools = [] }: ChatOptions = {},
): Uint32Array {
  const { chatTemplate } = model;
  if (chatTemplate === null) throw invalidRequest(`The model '${model.card.id}' has no chat template: use /v1/completions.`, "messages");
  const last = messages.at(-1);
  // After its calls the assistant has said what it had to.
  const continues = last?.role === "assistant" && (last.calls ?? []).length === 0;
  const tellsItself = tools.length > 0 && tellsTools(chatTemplate);
  return Uint32Array.from(
    chatTemplate.renderToTokens(spokenMessages(tellsItself ? messages : withToolsTold(messages, tools)), {
      ...(tellsItself ? { tools: tools.map((tool) => withPythonNumbers(toolOfTemplate(tool))) } : {}),
      ...(continues ? { continueFinalMessage: true } : { addGenerationPrompt }),
    }),
  );
}
