/** Reads a request's query: percent-encoded UTF-8, each parameter once. */
import type { GatewayContext } from "../environment.ts";
import { invalidRequest, unknownField } from "../failures.ts";
import { fieldName } from "../schema/parse.ts";

/** What clients add to every request by themselves, and what changes nothing here: Azure's and Anthropic's. */
const addedByClients: ReadonlySet<string> = new Set(["api-version", "beta"]);

/** Without what clients add by themselves. @throws ServiceError that names a parameter which is given twice, or is not UTF-8. */
export function readQuery(c: GatewayContext): Record<string, string> {
  const query = new Map<string, string>();
  for (const pair of new URL(c.req.url).search.slice(1).split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals), "A query parameter's name");
    const field = fieldName([name]);
    if (query.has(name)) throw invalidRequest(`'${field}': must be given once; it is given more than once.`, field);
    query.set(name, equals < 0 ? "" : decoded(pair.slice(equals + 1), `'${field}':`, field));
  }
  return Object.fromEntries([...query].filter(([name]) => !addedByClients.has(name)));
}

/** For a request whose parameters, if any, would be lost. @throws ServiceError that names the first. */
export function refuseQuery(c: GatewayContext): void {
  const [name] = Object.keys(readQuery(c));
  if (name !== undefined) throw unknownField(fieldName([name]));
}

function decoded(text: string, what: string, param?: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw invalidRequest(`${what} must be percent-encoded UTF-8.`, param);
  }
}
