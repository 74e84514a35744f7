/** `POST /v1/messages` and `POST /v1/messages/count_tokens`: chat completions, as Anthropic's clients ask for them. */
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import { renderChat } from "../../models/render-chat.ts";
import { servedModel, type ServedModel } from "../../models/served-model.ts";
import type { GatewayContext } from "../environment.ts";
import { answerGeneration, type GenerationEndpoint } from "../pipeline.ts";
import { modelMeant } from "../plan/model-choice.ts";
import { toldFunctions } from "../prompt/told-functions.ts";
import { withSchemaTold } from "../prompt/tell-schema.ts";
import { messageBody, messageCountBody, type MessageBody, type MessageCountBody } from "../schema/anthropic-message.ts";
import { parseBody } from "../schema/parse.ts";
import { askedTools } from "../schema/tools.ts";
import { readJson } from "./read-json.ts";

const tools = ({ toolFields }: MessageCountBody) => askedTools(toolFields);

const promptOf = (model: ServedModel, body: MessageCountBody): Uint32Array =>
  renderChat(model, withSchemaTold(body.messages, body.response_format), toldFunctions(tools(body)));

const endpoint: GenerationEndpoint<MessageBody> = {
  name: "message",
  idPrefix: "msg_",
  schema: messageBody,
  tools,
  render: (body, model) => ({
    promptField: "messages",
    prompts: [{ tokens: promptOf(model, body), echo: null }],
    maxTokens: body.max_tokens,
    defaultMaxTokens: body.max_tokens,
    topLogprobs: null,
    promptLogprobs: null,
  }),
  recipe: (_body, _model, _isTurn, [job]) => ({ prompt: { tokens: job?.request.prompt.length ?? 0, cached: 0 } }),
  inRequest,
};

export const createMessage = (c: GatewayContext) => answerGeneration(c, endpoint);

/** Fields as the request has them. */
const names: readonly (readonly [ours: string, theirs: string])[] = [
  ["response_format.json_schema.schema", "output_config.format.schema"],
  ["response_format", "output_config.format"],
  ["max_completion_tokens", "max_tokens"],
  ["stop", "stop_sequences"],
];

function inRequest(failure: ServiceFailure): ServiceFailure {
  const { param, message } = failure;
  const [, schema] = /^(tools\[\d+\])\.parameters/.exec(param ?? "") ?? [];
  if (param !== undefined && schema !== undefined) {
    const named = (text: string) => text.replace(`${schema}.parameters`, `${schema}.input_schema`);
    return { ...failure, param: named(param), message: named(message) };
  }
  const [ours, theirs] = names.find(([name]) => param === name || param?.startsWith(`${name}[`) === true) ?? [];
  if (param === undefined || ours === undefined || theirs === undefined) return failure;
  return { ...failure, param: param.replace(ours, theirs), message: message.replaceAll(`'${ours}`, `'${theirs}`) };
}

export async function countMessageTokens(c: GatewayContext): Promise<Response> {
  const body = parseBody(messageCountBody, await readJson(c.req.raw));
  const { entry } = await modelMeant(c, body.model);
  const model = await servedModel(c.env, entry);
  try {
    return c.json({ input_tokens: promptOf(model, body).length });
  } catch (cause) {
    if (!(cause instanceof ServiceError)) throw cause;
    throw new ServiceError(inRequest(cause.failure), { cause });
  }
}
