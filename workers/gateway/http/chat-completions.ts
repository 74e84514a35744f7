/** `POST /v1/chat/completions`. */
import { renderChat } from "../../models/render-chat.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { defaultCompletionTokens } from "../../models/token-budget.ts";
import type { GatewayContext } from "../environment.ts";
import { toldFunctions } from "../prompt/told-functions.ts";
import { withSchemaTold } from "../prompt/tell-schema.ts";
import { answerGeneration, type GenerationEndpoint } from "../pipeline.ts";
import { chatCompletionBody, toolFields, type ChatCompletionBody } from "../schema/chat-completion.ts";
import { isAbsent } from "../schema/parse.ts";
import { askedTools } from "../schema/tools.ts";

const topLogprobs = (body: ChatCompletionBody) => (body.logprobs === true ? (body.top_logprobs ?? 0) : null);

const tools = (body: ChatCompletionBody) => askedTools(toolFields(body));

const promptOf = (body: ChatCompletionBody, model: ServedModel): Uint32Array =>
  renderChat(model, withSchemaTold(body.messages, body.response_format), toldFunctions(tools(body)));

const endpoint: GenerationEndpoint<ChatCompletionBody> = {
  name: "chat",
  idPrefix: "chatcmpl-",
  schema: chatCompletionBody,
  tools,
  turn: (body) =>
    isAbsent(body.session_id) ? undefined : { session: body.session_id, messages: body.messages, ...toldFunctions(tools(body)) },
  render: (body, model) => ({
    promptField: "messages",
    prompts: [{ tokens: isAbsent(body.session_id) ? promptOf(body, model) : null, echo: null }],
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
    defaultMaxTokens: defaultCompletionTokens,
    topLogprobs: topLogprobs(body),
    promptLogprobs: body.prompt_logprobs ?? null,
    scoresField: "prompt_logprobs",
  }),
};

export const chatCompletions = (c: GatewayContext) => answerGeneration(c, endpoint);
