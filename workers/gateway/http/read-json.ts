/** Reads a request's JSON body: right type, bounded size (counted, whatever `Content-Length` says), valid UTF-8, valid JSON without repeated keys. */
import { ServiceError } from "../../contracts/errors.ts";
import { invalidRequest, unsupportedMediaType } from "../failures.ts";
import { bodyLimitBytes } from "../schema/limits.ts";
import { fieldName } from "../schema/parse.ts";
import { readAtMost } from "./bounded-body.ts";
import { mediaType, requireIdentity, requireUtf8 } from "./media-type.ts";
import { repeatedKey } from "./repeated-key.ts";

export async function readJson(request: Request): Promise<unknown> {
  if (mediaType(request.headers) !== "application/json")
    throw unsupportedMediaType("The request body must be JSON, with 'Content-Type: application/json'.");
  requireIdentity(request.headers, "the JSON");
  requireUtf8(request.headers, "The JSON");
  const bytes = await readAtMost(request, bodyLimitBytes);
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
    const body = parsed(text);
    if (typeof body === "object" && body !== null && !Array.isArray(body)) return withExactSeed(body, text);
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause;
    if (cause instanceof RangeError) throw invalidRequest("The request body's arrays and objects are nested too deeply.");
    throw invalidRequest("The request body is not valid JSON in UTF-8.");
  }
  throw invalidRequest("The request body must be a JSON object.");
}

type ParseWithSource = (text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown) => unknown;

/** A seed is 64 bits to its client: where a double does not hold the digits that were sent, it becomes the `bigint` of them. */
function withExactSeed(body: { readonly seed?: unknown }, text: string): object {
  if (!Number.isInteger(body.seed) || Number.isSafeInteger(body.seed)) return body;
  // The reviver is called for every value there is, so only who sends such a seed pays for it.
  const exact = (JSON.parse as ParseWithSource)(text, (key, value, { source = "" }) =>
    key === "seed" && /^-?\d+$/.test(source) ? BigInt(source) : value,
  );
  return { ...body, seed: (exact as { readonly seed?: unknown }).seed };
}

/**
 * The one place where text comes in as JSON: half a surrogate pair, which only an escape can spell in UTF-8, becomes U+FFFD, which is what the
 * model reads in its place. Strict parsers refuse what would come back of it.
 */
function parsed(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const repeated = repeatedKey(text, value);
  if (repeated !== undefined) {
    const field = fieldName(repeated).toWellFormed();
    throw invalidRequest(`'${field}': must be given once; it is given more than once.`, field);
  }
  return /\\u[dD][89a-fA-F]/.test(text) ? wellFormed(value) : value;
}

function wellFormed(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key.toWellFormed(), wellFormed(item)]));
}
