/** Bodies of bounded size. */
import { ServiceError } from "../../contracts/errors.ts";
import { invalidRequest, payloadTooLarge } from "../failures.ts";

/** A request's body, counted while it is read, whatever `Content-Length` says. @throws ServiceError `payload_too_large`, or where it broke off. */
export async function readAtMost({ headers, body }: Request, limitBytes: number): Promise<Uint8Array> {
  const declared = Number(headers.get("content-length"));
  if (declared > limitBytes) throw payloadTooLarge(limitBytes, declared);
  const stream = body as ReadableStream<Uint8Array> | null;
  const chunks: Uint8Array[] = [];
  let total = 0;
  try {
    for await (const chunk of stream ?? []) {
      total += chunk.byteLength;
      if (total > limitBytes) throw payloadTooLarge(limitBytes);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof ServiceError) throw cause;
    // Its client left, or its framing is wrong: no fault of this server's.
    throw invalidRequest(`The request body broke off after ${String(total)} bytes.`);
  }
  const bytes = new Uint8Array(total);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
