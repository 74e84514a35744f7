/** Reads a request's JSON body: right type, bounded size (counted, whatever `Content-Length` says), valid UTF-8, valid JSON without repeated keys. */
import { ServiceError } from "../../contracts/errors.ts";
import { digitsOf, mayBeInexact, parseExact } from "../../encoding/exact-json.ts";
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
    if (typeof body === "object" && body !== null && !Array.isArray(body)) return withExactNumbers(body, text);
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause;
    if (cause instanceof RangeError) throw invalidRequest("The request body's arrays and objects are nested too deeply.");
    throw invalidRequest("The request body is not valid JSON in UTF-8.");
  }
  throw invalidRequest("The request body must be a JSON object.");
}

/** Fields that hold JSON of the client's, in any place of a body: schemas, what a call was given, and what a decision is about. */
const holdingJson: ReadonlySet<string> = new Set(["data", "input", "input_schema", "json", "parameters", "schema", "state"]);

/**
 * Numbers that a double does not hold keep their digits where they are the client's: in JSON that a body holds, and as a `bigint` in a seed, which
 * is 64 bits to its client.
 */
function withExactNumbers(body: object, text: string): object {
  if (!mayBeInexact(text)) return body;
  const exact = wellFormed(parseExact(text)) as { readonly seed?: unknown };
  const seed = digitsOf(exact.seed);
  const isInteger = seed !== undefined && /^-?\d+$/.test(seed);
  return { ...(replaced(body, exact) as object), ...(isInteger ? { seed: BigInt(seed) } : {}) };
}

function replaced(value: unknown, exact: unknown): unknown {
  if (typeof value !== "object" || value === null || typeof exact !== "object" || exact === null) return value;
  const others = exact as Readonly<Record<string, unknown>>;
  if (Array.isArray(value)) return value.map((one: unknown, at) => replaced(one, others[at]));
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, holdingJson.has(name) ? others[name] : replaced(one, others[name])]),
  );
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
  if (typeof value !== "object" || value === null || digitsOf(value) !== undefined) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key.toWellFormed(), wellFormed(item)]));
}
