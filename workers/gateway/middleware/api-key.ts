/**
 * A development guard: with `API_KEYS` set, requests need one of them; without it, any key is accepted and only says whose what is kept is,
 * so that clients which insist on sending a key work.
 */
import { createMiddleware } from "hono/factory";
import type { GatewayTypes } from "../environment.ts";
import { invalidApiKey, invalidRequest } from "../failures.ts";

export const apiKey = createMiddleware<GatewayTypes>(async (c, next) => {
  const { apiKeys: keys, adminKeys } = c.var.settings;
  const key = sentKey(c.req.raw.headers);
  if (keys.length > 0 && !(await isOneOf(key, keys))) throw invalidApiKey();
  if (adminKeys.length > 0) c.set("isAdmin", await isOneOf(key, adminKeys));
  return next();
});

/** The key that was sent, as OpenAI's clients do (`Authorization`) or as Anthropic's (`x-api-key`); empty without one. @throws ServiceError where there are two. */
export function sentKey(headers: Headers): string {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1] ?? "";
  const other = /^\S+$/.exec(headers.get("x-api-key")?.trim() ?? "")?.[0] ?? "";
  if (bearer !== "" && other !== "" && bearer !== other)
    throw invalidRequest("'x-api-key': must be left out beside 'Authorization', or be the same key; it is another.", "x-api-key");
  return bearer === "" ? other : bearer;
}

/** Compares digests, all of them, so that time tells neither length, nor common beginnings, nor which key it was. */
async function isOneOf(candidate: string, keys: readonly string[]): Promise<boolean> {
  const given = await digest(candidate);
  const digests = await Promise.all(keys.map(digest));
  return digests.map((key) => crypto.subtle.timingSafeEqual(key, given)).some((equal) => equal);
}

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
