/** `POST /v1/chat/completions`. */
import { renderChat } from "../../models/render-chat.ts";
import { defaultCompletionTokens } from "../../models/token-budget.ts";
import type { GatewayContext } from "../environment.ts";
import { withSchemaTold } from "../prompt/tell-schema.ts";
import { answerGeneration, type GenerationEndpoint } from "../pipeline.ts";
import { chatCompletionBody, type ChatCompletionBody } from "../schema/chat-completion.ts";
import { isAbsent } from "../schema/parse.ts";

const topLogprobs = (body: ChatCompletionBody) => (body.logprobs === true ? (body.top_logprobs ?? 0) : null);

const endpoint: GenerationEndpoint<ChatCompletionBody> = {
  name: "chat",
  idPrefix: "chatcmpl-",
  schema: chatCompletionBody,
  turn: (body) => (isAbsent(body.session_id) ? undefined : { session: body.session_id, messages: body.messages }),
  render: (body, model) => ({
    promptField: "messages",
    prompts: [
      { tokens: isAbsent(body.session_id) ? renderChat(model, withSchemaTold(body.messages, body.response_format)) : null, echo: null },
    ],
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
    defaultMaxTokens: defaultCompletionTokens,
    topLogprobs: topLogprobs(body),
    promptLogprobs: body.prompt_logprobs ?? null,
    scoresField: "prompt_logprobs",
  }),
};

export const chatCompletions = (c: GatewayContext) => answerGeneration(c, endpoint);
