/** `/v1/contexts`: documents that are read once and asked often. */
import { availableDescription, fromSession } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import type { SessionFacts } from "../../contracts/session.ts";
import { unsupportedMediaType } from "../failures.ts";
import { modelMeant } from "../plan/model-choice.ts";
import { requireStates } from "../plan/require-abilities.ts";
import { requireTenant } from "../plan/require-tenant.ts";
import { parseBody } from "../schema/parse.ts";
import { newContextBody, newContextQuery, uploadQuery } from "../schema/session.ts";
import { eventStreamHeaders, eventStream, type SseBatches } from "../stream/sse.ts";
import { mediaType, requireIdentity, requireUtf8 } from "./media-type.ts";
import { pathId } from "./path-id.ts";
import { readQuery, refuseQuery } from "./query.ts";
import { readJson } from "./read-json.ts";
import { bodyStream } from "./request-body.ts";
import { sessionJson } from "./session-json.ts";
import { list } from "./sessions.ts";

const textType = "text/plain";

export const listContexts = (c: GatewayContext) => list(c, "context");

export async function createContext(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const type = mediaType(c.req.raw.headers);
  if (type !== textType) {
    if (type !== "application/json")
      throw unsupportedMediaType(`The body must be JSON with 'Content-Type: application/json', or the text itself with '${textType}'.`);
    refuseQuery(c);
    const { model: asked, name } = parseBody(newContextBody, await readJson(c.req.raw));
    const model = await readableModel(c, asked);
    const facts = await fromSession(
      c.env.SESSION.createContext(tenant, { model, ...(name === null || name === undefined ? {} : { name }) }),
    );
    return c.json(sessionJson(facts), 201);
  }
  requireText(c);
  const { model, name } = parseBody(newContextQuery, readQuery(c));
  const request = { model: await readableModel(c, model), ...(name === undefined ? {} : { name }) };
  const facts = await fromSession(c.env.SESSION.createContext(tenant, request, bodyStream(c.req.raw)));
  return c.json(sessionJson(facts), 201);
}

export async function appendText(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const { offset, last } = parseBody(uploadQuery, readQuery(c));
  requireText(c);
  return c.json(
    sessionJson(await fromSession(c.env.SESSION.appendContext(tenant, pathId(c), offset, bodyStream(c.req.raw), last === "true"))),
  );
}

/** The id of the model that is meant. While no backend answers, a document can be uploaded and waits. */
async function readableModel(c: GatewayContext, name: string): Promise<string> {
  const { card } = (await modelMeant(c, name)).entry;
  const description = await availableDescription(c.env, card);
  if (description !== null) requireStates(description);
  return card.id;
}

/** Any number of events, then `[DONE]`. */
export async function contextEvents(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const lines = await fromSession(c.env.SESSION.followContext(tenant, pathId(c)));
  const abort = new AbortController();
  const stream = eventStream(progress(lines, abort.signal), {
    abort,
    keepAliveMilliseconds: c.var.settings.keepAliveMilliseconds,
    onFailure: (failure) => {
      c.var.facts["failure"] = failure.code;
    },
  });
  return c.body(stream, 200, eventStreamHeaders);
}

async function* progress(lines: ReadableStream<Uint8Array>, signal: AbortSignal): SseBatches {
  const reader = lines.pipeThrough(new TextDecoderStream()).getReader();
  signal.addEventListener("abort", () => void reader.cancel().catch(() => undefined), { once: true });
  let buffered = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const whole = (buffered + part.value).split("\n");
    buffered = whole.pop() ?? "";
    const facts = whole.filter((line) => line !== "").map((line) => JSON.parse(line) as SessionFacts);
    if (facts.length > 0) yield facts.map((one) => ({ data: sessionJson(one) }));
  }
}

function requireText(c: GatewayContext): void {
  const { headers } = c.req.raw;
  if (mediaType(headers) !== textType) throw unsupportedMediaType(`The text must be sent with 'Content-Type: ${textType}', in UTF-8.`);
  requireIdentity(headers, "the text");
  requireUtf8(headers, "The text");
}
