/** `/v1/sessions`: conversations that live at the edge. */
import type * as z from "zod";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import { fromSession } from "../backend.ts";
import type { GatewayContext } from "../environment.ts";
import { invalidRequest } from "../failures.ts";
import { modelMeant } from "../plan/model-choice.ts";
import { requireTenant } from "../plan/require-tenant.ts";
import { isAbsent, parseBody } from "../schema/parse.ts";
import {
  exportBody,
  forkBody,
  listQuery,
  newSessionBody,
  renameBody,
  rewindBody,
  shareBody,
  sharesQuery,
  turnsQuery,
} from "../schema/session.ts";
import { requireIdentity } from "./media-type.ts";
import { contextId, pathId, sessionId } from "./path-id.ts";
import { readQuery } from "./query.ts";
import { readJson } from "./read-json.ts";
import { bodyStream } from "./request-body.ts";
import { listJson, sessionJson, shareJson, turnJson } from "./session-json.ts";
import { sharedStream } from "./shared-stream.ts";

const defaultSessions = 20;
const defaultTurns = 100;
const defaultShareSeconds = 24 * 3600;

const shareId = (c: GatewayContext): string => c.req.param("id") ?? "";
const body = async <T>(c: GatewayContext, schema: z.ZodType<T>): Promise<T> => parseBody(schema, await readJson(c.req.raw));

/** Clients send `null` for what they leave out. */
const optional = <T>(value: T | null | undefined, read: (value: T) => T) =>
  value === null || value === undefined ? undefined : read(value);
const named = (name: string | null | undefined) => (name === null || name === undefined ? {} : { name });
const turned = (turn: number | null | undefined) => (turn === null || turn === undefined ? {} : { turn });

export async function createSession(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const { model, name, from, share } = await body(c, newSessionBody);
  try {
    const session = optional(from?.session_id, sessionId) ?? optional(from?.context_id, contextId);
    const request = {
      ...{ model: (await modelMeant(c, model)).entry.card.id, ...named(name) },
      ...(session === undefined ? {} : { from: { session, ...turned(from?.turn) } }),
      ...(share === null || share === undefined ? {} : { share }),
    };
    return c.json(sessionJson(await fromSession(c.env.SESSION.createSession(tenant, request))), 201);
  } catch (cause) {
    throw cause instanceof ServiceError ? new ServiceError(inRequest(cause.failure, share), { cause }) : cause;
  }
}

/** What the session Worker says of its own fields, in those of the request. */
function inRequest(failure: ServiceFailure, share: string | null | undefined): ServiceFailure {
  const { code, param, message } = failure;
  if (code === "share_not_found") return { ...failure, param: "share" };
  const isOfOrigin = param === "session_id" || param === "context_id" || param === "turn";
  if (!isOfOrigin || !isAbsent(share)) return failure;
  return { ...failure, param: `from.${param}`, message: message.replaceAll(`'${param}'`, `'from.${param}'`) };
}

export const listSessions = (c: GatewayContext) => list(c, "session");

export async function list(c: GatewayContext, kind: "session" | "context"): Promise<Response> {
  const tenant = requireTenant(c);
  const { limit = defaultSessions, after } = parseBody(listQuery, readQuery(c));
  const found = await fromSession(c.env.SESSION.sessions(tenant, kind, limit + 1, after));
  return c.json(listJson(found, limit, sessionJson));
}

export async function oneSession(c: GatewayContext): Promise<Response> {
  return c.json(sessionJson(await fromSession(c.env.SESSION.session(requireTenant(c), pathId(c)))));
}

export async function sessionTurns(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const { limit = defaultTurns, after } = parseBody(turnsQuery, readQuery(c));
  const { turns, hasMore } = await fromSession(c.env.SESSION.turns(tenant, pathId(c), limit, after ?? -1));
  return c.json({ object: "list", data: turns.map(turnJson), has_more: hasMore });
}

export async function renameSession(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const { name } = await body(c, renameBody);
  return c.json(sessionJson(await fromSession(c.env.SESSION.renameSession(tenant, pathId(c), name))));
}

export async function deleteSession(c: GatewayContext): Promise<Response> {
  await fromSession(c.env.SESSION.deleteSession(requireTenant(c), pathId(c)));
  return c.body(null, 204);
}

export async function rewindSession(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const { turn } = await body(c, rewindBody);
  return c.json(sessionJson(await fromSession(c.env.SESSION.rewindSession(tenant, pathId(c), turn))));
}

export async function forkSession(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const { turn, name } = await body(c, forkBody);
  const { model } = await fromSession(c.env.SESSION.session(tenant, pathId(c)));
  const request = { model, ...named(name), from: { session: pathId(c), ...turned(turn) } };
  return c.json(sessionJson(await fromSession(c.env.SESSION.createSession(tenant, request))), 201);
}

export async function shareSession(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const { expires_in: seconds } = await body(c, shareBody);
  const { share, expires } = await fromSession(c.env.SESSION.shareSession(tenant, pathId(c), seconds ?? defaultShareSeconds));
  return c.json({ object: "share", id: share, expires }, 201);
}

export async function listShares(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const { limit = defaultSessions, after, session_id: session } = parseBody(sharesQuery, readQuery(c));
  return c.json(listJson(await fromSession(c.env.SESSION.shares(tenant, limit + 1, after, session)), limit, shareJson));
}

export async function unshare(c: GatewayContext): Promise<Response> {
  await fromSession(c.env.SESSION.unshare(requireTenant(c), shareId(c)));
  return c.body(null, 204);
}

/** The link is the permission; it is not for search engines. */
export async function sharedSession(c: GatewayContext): Promise<Response> {
  const turnsAfter = (after: number) => fromSession(c.env.SESSION.shared(shareId(c), after));
  return c.body(sharedStream(await turnsAfter(-1), turnsAfter), 200, { "content-type": "application/json", "x-robots-tag": "noindex" });
}

export async function exportSession(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const { passphrase } = await body(c, exportBody);
  const { file } = await fromSession(c.env.SESSION.exportSession(tenant, pathId(c), passphrase ?? null));
  const headers = { "content-type": "application/octet-stream", "content-disposition": `attachment; filename="${pathId(c)}.sbsf"` };
  return c.body(file, 200, headers);
}

export async function importSession(c: GatewayContext): Promise<Response> {
  const tenant = requireTenant(c);
  const passphrase = passphraseOf(c.req.header("x-spikingbrain-passphrase"));
  requireIdentity(c.req.raw.headers, "the file");
  const file = bodyStream(c.req.raw);
  const facts = await fromSession(c.env.SESSION.importSession(tenant, file, passphrase));
  return c.json(sessionJson(facts), 201);
}

/** Headers hold no more than ASCII, so it is percent-encoded. */
function passphraseOf(header: string | undefined): string | null {
  if (header === undefined) return null;
  try {
    return decodeURIComponent(header);
  } catch {
    throw invalidRequest("'x-spikingbrain-passphrase': must be percent-encoded UTF-8.", "x-spikingbrain-passphrase");
  }
}

export async function usage(c: GatewayContext): Promise<Response> {
  const { sessions, hotBytes, durableBytes, bytes, quotaBytes } = await fromSession(c.env.SESSION.usage(requireTenant(c)));
  const used = Object.values(bytes).reduce((sum, some) => sum + some, 0);
  return c.json({ sessions, hot_bytes: hotBytes, durable_bytes: durableBytes, bytes, used_bytes: used, quota_bytes: quotaBytes });
}
