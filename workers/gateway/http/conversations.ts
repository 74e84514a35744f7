/** `/v1/conversations`: sessions under OpenAI's name, and what is said in them as items. */
import type { TenantId } from "../../contracts/tenant.ts";
import type { SessionFacts, Turn } from "../../contracts/session.ts";
import { fromSession } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import { conversationNotFound, invalidRequest, itemNotFound } from "../failures.ts";
import { modelMeant } from "../plan/model-choice.ts";
import { requireTenant } from "../plan/require-tenant.ts";
import { partOf } from "../responses/list-page.ts";
import { conversationId, sessionOfConversation } from "../responses/response-id.ts";
import { conversationBody, newConversationBody } from "../schema/conversation.ts";
import { itemQuery, itemsQuery } from "../schema/response-query.ts";
import { parseBody } from "../schema/parse.ts";
import { itemsOf, turnOfItem, type Item } from "../stream/formats/response-items.ts";
import { readQuery } from "./query.ts";
import { readJson } from "./read-json.ts";
import { ServiceError } from "../../contracts/errors.ts";

const defaultItems = 20;

const tenantOf = (c: GatewayContext): TenantId => requireTenant(c, "Conversations belong");
const sessionIn = (c: GatewayContext): string => sessionOfConversation(c.req.param("id") ?? "", "conversation_id");

const conversationJson = ({ id, created, metadata = {} }: SessionFacts): object => ({
  id: conversationId(id),
  object: "conversation",
  created_at: created,
  metadata,
});

export async function createConversation(c: GatewayContext): Promise<Response> {
  const tenant = tenantOf(c);
  const { model, metadata } = parseBody(newConversationBody, await readJson(c.req.raw));
  const { entry } = await modelMeant(c, model);
  return c.json(conversationJson(await found(c.env.SESSION.createSession(tenant, { model: entry.card.id, metadata: metadata ?? {} }))));
}

export async function oneConversation(c: GatewayContext): Promise<Response> {
  return c.json(conversationJson(await found(c.env.SESSION.session(tenantOf(c), sessionIn(c)))));
}

export async function noteMetadata(c: GatewayContext): Promise<Response> {
  const tenant = tenantOf(c);
  const { metadata } = parseBody(conversationBody, await readJson(c.req.raw));
  return c.json(conversationJson(await found(c.env.SESSION.noteMetadata(tenant, sessionIn(c), metadata ?? {}))));
}

export async function deleteConversation(c: GatewayContext): Promise<Response> {
  const session = sessionIn(c);
  await found(c.env.SESSION.deleteSession(tenantOf(c), session));
  return c.json({ id: conversationId(session), object: "conversation.deleted", deleted: true });
}

export async function conversationItems(c: GatewayContext): Promise<Response> {
  const tenant = tenantOf(c);
  const session = sessionIn(c);
  const { limit = defaultItems, order = "desc", after } = parseBody(itemsQuery, readQuery(c));
  const { turns } = await found(c.env.SESSION.session(tenant, session));
  const from = after === undefined ? undefined : turnOfItem(after);
  if (after !== undefined && (from === undefined || from > turns)) throw unknownPosition();
  // Every turn has an item at least, and one beyond the list page says whether there are more.
  const count = limit + 2;
  const last = order === "asc" ? Math.min(turns, (from ?? 1) + count) : Math.min(turns, from ?? turns);
  const first = order === "asc" ? Math.max(0, from ?? 0) : Math.max(0, last - count);
  const items = (await turnsBetween(c, tenant, session, first, last)).flatMap((turn) => itemsOfTurn(session, turn));
  const ordered = order === "asc" ? items : items.toReversed();
  const start = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && start === 0) throw unknownPosition();
  return c.json(partOf(ordered, start, limit));
}

export async function conversationItem(c: GatewayContext): Promise<Response> {
  const tenant = tenantOf(c);
  const session = sessionIn(c);
  parseBody(itemQuery, readQuery(c));
  const id = c.req.param("item") ?? "";
  const turn = turnOfItem(id);
  const { turns } = await found(c.env.SESSION.session(tenant, session));
  const some = turn === undefined || turn > turns ? [] : await turnsBetween(c, tenant, session, turn, turn);
  const item = some.flatMap((one) => itemsOfTurn(session, one)).find((one) => one.id === id);
  if (item === undefined) throw itemNotFound();
  return c.json(item);
}

/** A turn that came in a file has no stream: its items are told apart by the session. */
function itemsOfTurn(session: string, { number, stream, messages, finish }: Turn): Item[] {
  const place = { of: stream === "" ? session : stream, turn: number };
  // A document is the beginning of a system message, and has no answer.
  const answers = number === 0 ? 0 : 1;
  const status = finish === "stop" || finish === "tool_calls" ? "completed" : "incomplete";
  return [
    ...itemsOf({ ...place, side: "input" }, messages.slice(0, messages.length - answers)),
    ...itemsOf({ ...place, side: "output" }, messages.slice(messages.length - answers), status),
  ];
}

/** Both with them. Long ones come in several list pages. */
async function turnsBetween(c: GatewayContext, tenant: TenantId, session: string, first: number, last: number): Promise<Turn[]> {
  const turns: Turn[] = [];
  for (let next = first; next <= last;) {
    const { turns: some } = await found(c.env.SESSION.turns(tenant, session, last - next + 1, next - 1));
    const newest = some.at(-1);
    if (newest === undefined) break;
    turns.push(...some.filter(({ number }) => number <= last));
    next = newest.number + 1;
  }
  return turns;
}

const unknownPosition = () => invalidRequest("'after': there is no such item to go on from.", "after");

async function found<T>(call: Parameters<typeof fromSession<T>>[0]): Promise<T> {
  try {
    return await fromSession(call);
  } catch (cause) {
    throw cause instanceof ServiceError && cause.failure.code === "session_not_found" ? conversationNotFound("conversation_id") : cause;
  }
}
