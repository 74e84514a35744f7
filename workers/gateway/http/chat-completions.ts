/** `POST /v1/chat/completions`. */
import type { GatewayContext } from "../environment.ts";
import { answerGeneration, type GenerationEndpoint } from "../pipeline.ts";
import { chatCompletionBody, type ChatCompletionBody } from "../schema/chat-completion.ts";
import { DEFAULT_COMPLETION_TOKENS } from "../schema/limits.ts";
import { isAbsent } from "../schema/parse.ts";
import { renderChat } from "../prompt/render-chat.ts";
import { renderTurn } from "../prompt/render-turn.ts";

const topLogprobs = (body: ChatCompletionBody) => (body.logprobs === true ? (body.top_logprobs ?? 0) : null);

const endpoint: GenerationEndpoint<ChatCompletionBody> = {
  name: "chat",
  idPrefix: "chatcmpl",
  schema: chatCompletionBody,
  turn: (body) => (isAbsent(body.session_id) ? undefined : { session: body.session_id, messages: body.messages }),
  render: (body, model, session) => ({
    promptField: "messages",
    prompts: [{ tokens: session === undefined ? renderChat(model, body.messages) : renderTurn(model, session, body.messages), echo: null }],
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
    defaultMaxTokens: DEFAULT_COMPLETION_TOKENS,
    topLogprobs: topLogprobs(body),
    promptLogprobs: null,
  }),
};

export const chatCompletions = (c: GatewayContext) => answerGeneration(c, endpoint);
