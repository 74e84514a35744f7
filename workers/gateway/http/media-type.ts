/** What a request's headers say of its body: nothing is read as what it is not. */
import { unsupportedMediaType } from "../failures.ts";

/** Names of UTF-8, and of a part of it. */
const utf8Names: readonly string[] = ["utf-8", "utf8", "us-ascii"];

/** In lower case, without parameters; empty where the client names none. */
export function mediaType(headers: Headers): string {
  return (headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

/** @throws ServiceError where the body is compressed. */
export function requireIdentity(headers: Headers, what: string): void {
  const encodings = (headers.get("content-encoding") ?? "").split(",").map((encoding) => encoding.trim().toLowerCase());
  if (encodings.some((encoding) => encoding !== "" && encoding !== "identity"))
    throw unsupportedMediaType(`Compressed request bodies are not supported: send ${what} as it is.`);
}

/** @throws ServiceError where the client says that the text is in another encoding. */
export function requireUtf8(headers: Headers, what: string): void {
  const charset = /;\s*charset\s*=\s*"?([^";]*)/i
    .exec(headers.get("content-type") ?? "")?.[1]
    ?.trim()
    .toLowerCase();
  if (charset !== undefined && !utf8Names.includes(charset))
    throw unsupportedMediaType(`${what} must be in UTF-8; 'Content-Type' says that it is in ${JSON.stringify(charset)}.`);
}
