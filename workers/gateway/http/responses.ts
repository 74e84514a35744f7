/** `POST /v1/responses`, and what is asked of a response later: a turn of a session and its stream, under OpenAI's names. */
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import type { TenantId } from "../../contracts/tenant.ts";
import type { TranscriptMessage } from "../../contracts/transcript.ts";
import { renderChat } from "../../models/render-chat.ts";
import { samplingDefaults } from "../../models/sampling-defaults.ts";
import { modelOfVersion, servedModel, type ServedModel } from "../../models/served-model.ts";
import { versionOf } from "../../models/version.ts";
import { describeForSession, fromSession, versionOfSession } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import { conversationNotFound } from "../failures.ts";
import { answerGeneration, type GenerationEndpoint, type TurnPart } from "../pipeline.ts";
import { withSchemaTold } from "../prompt/tell-schema.ts";
import { toldFunctions } from "../prompt/told-functions.ts";
import { modelMeant } from "../plan/model-choice.ts";
import { requireTenant } from "../plan/require-tenant.ts";
import { conversationId, responsePlace, sessionOfConversation } from "../responses/response-id.ts";
import { endStream, findResponse, requestItems } from "../responses/stored-response.ts";
import { responseBody, responseToolFields, type ResponseBody } from "../schema/response.ts";
import { itemsQuery, responseQuery } from "../schema/response-query.ts";
import { defaultCompletionTokens } from "../../models/token-budget.ts";
import { isAbsent, parseBody } from "../schema/parse.ts";
import { askedTools } from "../schema/tools.ts";
import { deliverEvents } from "../stream/deliver.ts";
import type { ResponseSettings } from "../stream/formats/response-object.ts";
import { readQuery } from "./query.ts";
import { readJson } from "./read-json.ts";
import { listPage } from "../responses/list-page.ts";

/**
 * Whether it is a turn: it is kept, or goes on from what was. Whoever asks for that must have a key; who says nothing of it, and has none, gets a
 * response that is not kept.
 */
const isTurn = (body: ResponseBody, c: GatewayContext): boolean => {
  if (body.store === true || body.background === true || !isAbsent(body.previous_response_id) || !isAbsent(body.conversation))
    requireTenant(c, "Responses that are kept belong");
  return (body.store !== false || !isAbsent(body.previous_response_id)) && c.var.tenant !== null;
};

const sessionOf = (conversation: NonNullable<ResponseBody["conversation"]>): string =>
  sessionOfConversation(typeof conversation === "string" ? conversation : conversation.id);

type Opening = Pick<ResponseBody, "instructions" | "response_format">;

/** What the response is to begin with: its instructions, and the schema that its text is to fit. */
function openingOf({ instructions, response_format: format }: Opening): string | null {
  const said: TranscriptMessage[] = isAbsent(instructions) ? [] : [{ role: "system", content: instructions }];
  return withSchemaTold(said, format)[0]?.content ?? null;
}

function withOpening(body: Opening & Pick<ResponseBody, "input">): readonly TranscriptMessage[] {
  const opening = openingOf(body);
  return opening === null ? body.input : [{ role: "system", content: opening }, ...body.input];
}

const tools = (body: ResponseBody) => askedTools(responseToolFields(body));

/** A response without functions has a conversation that tells of none; where none of them may be called, it stays as it is. */
const toldOf = (body: ResponseBody) => (body.tools.length === 0 ? { tools: [] } : toldFunctions(tools(body)));

export function turnOf(body: ResponseBody): TurnPart {
  const { input: messages, previous_response_id: previous, conversation } = body;
  const turn = { session: null, messages, instructions: openingOf(body), ...toldOf(body), isResponse: true };
  if (!isAbsent(conversation)) return { ...turn, session: sessionOf(conversation) };
  if (isAbsent(previous)) return turn;
  const { session, stream } = responsePlace(previous, "previous_response_id");
  return { ...turn, session, after: stream, ...(body.store === false ? { isPassing: true } : {}) };
}

function topLogprobs({ top_logprobs: top, include }: ResponseBody): number | null {
  return (include ?? []).includes("message.output_text.logprobs") || (top ?? 0) > 0 ? (top ?? 0) : null;
}

function settingsOf(body: ResponseBody, { card }: ServedModel, isOfSession: boolean): ResponseSettings {
  const defaults = samplingDefaults(card);
  return {
    instructions: body.instructions ?? null,
    previous_response_id: body.previous_response_id ?? null,
    conversation: isAbsent(body.conversation) ? null : { id: conversationId(sessionOf(body.conversation)) },
    store: isOfSession && body.store !== false,
    background: body.background === true,
    metadata: body.metadata ?? {},
    temperature: body.temperature ?? defaults.temperature,
    top_p: body.top_p ?? defaults.top_p,
    presence_penalty: body.presence_penalty ?? 0,
    frequency_penalty: body.frequency_penalty ?? 0,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    top_logprobs: body.top_logprobs ?? 0,
    text: { format: body.text?.format ?? { type: "text" } },
    tools: body.tools.map(({ name, description = null, parameters, strict }) => ({
      type: "function",
      name,
      description,
      parameters,
      strict,
    })),
    tool_choice:
      isAbsent(body.tool_choice) || typeof body.tool_choice === "string"
        ? (body.tool_choice ?? "auto")
        : { type: "function", name: body.tool_choice.name },
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    user: body.user ?? null,
    safety_identifier: body.safety_identifier ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
  };
}

const endpoint: GenerationEndpoint<ResponseBody> = {
  name: "response",
  idPrefix: "resp_",
  schema: responseBody,
  tools,
  turn: (body, c) => (isTurn(body, c) ? turnOf(body) : undefined),
  render: (body, model, isOfSession) => ({
    promptField: "input",
    prompts: [{ tokens: isOfSession ? null : renderChat(model, withOpening(body), toldOf(body)), echo: null }],
    maxTokens: body.max_output_tokens ?? null,
    defaultMaxTokens: defaultCompletionTokens,
    topLogprobs: topLogprobs(body),
    promptLogprobs: null,
  }),
  recipe: (body, model, isOfSession) => ({ response: settingsOf(body, model, isOfSession) }),
  isLeft: (body) => body.background === true,
  inRequest,
};

export const createResponse = (c: GatewayContext) => answerGeneration(c, endpoint);

const chatFormat = "response_format";

/** What a session says of its own fields, in the words of who asked for a response. */
function inRequest(failure: ServiceFailure, body: ResponseBody): ServiceFailure {
  const { code, param, message } = failure;
  const named = (before: string, field: string): ServiceFailure => ({
    ...failure,
    param: field,
    message: message.replaceAll(`'${before}'`, `'${field}'`),
  });
  if (param === "response_id") return named(param, "previous_response_id");
  if (param === "messages") return named(param, "input");
  if (param?.startsWith(chatFormat) === true)
    return named(param, param.replace(`${chatFormat}.json_schema`, chatFormat).replace(chatFormat, "text.format"));
  if (param?.startsWith("messages[") === true) return named(param, param.replace("messages", "input").replace("tool_call_id", "call_id"));
  if (param !== "session_id") return failure;
  if (code === "session_not_found" && !isAbsent(body.conversation)) return conversationNotFound().failure;
  return named(param, isAbsent(body.conversation) ? "previous_response_id" : "conversation");
}

/** As many tokens as such a response would go on from, its own with them. */
export async function countInputTokens(c: GatewayContext): Promise<Response> {
  const body = parseBody(responseBody, await readJson(c.req.raw));
  const { entry } = await modelMeant(c, body.model);
  const model = await servedModel(c.env, entry);
  const turn = isTurn(body, c) ? turnOf(body) : undefined;
  const { session = null } = turn ?? {};
  if (turn === undefined || session === null) return c.json(counted(renderChat(model, withOpening(body), toldOf(body)).length));
  const tenant = requireTenant(c, "Responses that are kept belong");
  const version = versionOf(await describeForSession(c.env, model.card, () => versionOfSession(c.env, tenant, session)));
  try {
    return c.json(counted(await fromSession(c.env.SESSION.countTurn(tenant, version, { ...turn, session }))));
  } catch (cause) {
    throw cause instanceof ServiceError ? new ServiceError(inRequest(cause.failure, body), { cause }) : cause;
  }
}

const counted = (tokens: number) => ({ object: "response.input_tokens", input_tokens: tokens });

const asked = (c: GatewayContext): { readonly tenant: TenantId; readonly id: string } => ({
  tenant: requireTenant(c, "Responses belong"),
  id: c.req.param("id") ?? "",
});

export async function oneResponse(c: GatewayContext): Promise<Response> {
  const { tenant, id } = asked(c);
  const { stream, starting_after: after } = parseBody(responseQuery, readQuery(c));
  if (stream !== "true") return c.json(await findResponse(c, tenant, id));
  const open = await fromSession(c.env.SESSION.attach(tenant, responsePlace(id).stream, 0));
  const { tokenizer } = await modelOfVersion(c.env, open.model);
  return deliverEvents(c, open, tokenizer, after ?? null);
}

export async function deleteResponse(c: GatewayContext): Promise<Response> {
  const { tenant, id } = asked(c);
  const { session, stream } = responsePlace(id);
  await fromSession(c.env.SESSION.deleteResponse(tenant, session, stream));
  return c.json({ id, object: "response", deleted: true });
}

export async function cancelResponse(c: GatewayContext): Promise<Response> {
  const { tenant, id } = asked(c);
  await endStream(c, tenant, responsePlace(id).stream);
  return c.json(await findResponse(c, tenant, id));
}

export async function inputItems(c: GatewayContext): Promise<Response> {
  const { tenant, id } = asked(c);
  const query = parseBody(itemsQuery, readQuery(c));
  return c.json(listPage(await requestItems(c, tenant, id), query));
}
