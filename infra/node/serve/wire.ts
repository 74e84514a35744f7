/**
 * How the engine of `spikingbrain serve` is reached from the Workers: over HTTP on this machine, with a secret of this start. Every answer is an
 * outcome as JSON, but for an answer that has begun, which is the stream's bytes.
 */
import type { GenerateRequest } from "../../../workers/contracts/engine.ts";
import type { RequestToCheck } from "../../../workers/contracts/request/open-state.ts";
import { joined } from "../../../workers/encoding/joined.ts";

export const secretHeader = "x-engine-secret";
export const streamType = "application/octet-stream";

export const paths = { models: "/models", ready: "/ready", load: "/load", generate: "/generate" } as const;

/** What precedes the state file in the body of `generate`: its own length in four bytes, and the request as JSON. */
const lengthBytes = 4;
/** Ids of the longest prompt and of the tokens that a state has seen. */
const mostBytes = 1 << 29;

type Numbers<T> = { readonly [K in keyof T]: K extends "prompt" | "seen" ? readonly number[] : T[K] };
type Front = Numbers<Omit<RequestToCheck, "resume">> & { readonly resume?: Numbers<NonNullable<RequestToCheck["resume"]>> };

/** Of a request, without the reference to its state. */
export function encodeFront({ resume, ...request }: GenerateRequest): Uint8Array<ArrayBuffer> {
  const of = resume === undefined ? {} : { resume: { tokens: resume.tokens, seen: Array.from(resume.seen) } };
  const front: Front = { ...request, prompt: Array.from(request.prompt), ...of };
  const json = new TextEncoder().encode(JSON.stringify(front));
  const length = new Uint8Array(lengthBytes);
  new DataView(length.buffer).setUint32(0, json.byteLength, true);
  return joined([length, json]);
}

/** What {@link encodeFront} wrote, and the bytes behind it. @throws RangeError where the body ends before, or is no such thing. */
export async function decodeFront(
  body: ReadableStream<Uint8Array>,
): Promise<{ readonly request: RequestToCheck; readonly rest: ReadableStream<Uint8Array> }> {
  const reader = body.getReader();
  let bytes: Uint8Array = new Uint8Array(0);
  const upTo = async (length: number): Promise<void> => {
    if (length > mostBytes) throw new RangeError(`a request may have ${String(mostBytes)} bytes; it has ${String(length)}`);
    const chunks = [bytes];
    for (let have = bytes.byteLength; have < length;) {
      const { done, value } = await reader.read();
      if (done) throw new RangeError(`a request of ${String(length)} bytes ends after ${String(have)}`);
      chunks.push(value);
      have += value.byteLength;
    }
    bytes = joined(chunks);
  };
  await upTo(lengthBytes);
  const end = lengthBytes + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  await upTo(end);
  const front = JSON.parse(new TextDecoder().decode(bytes.subarray(lengthBytes, end))) as Front;
  const { resume, ...request } = front;
  const of = resume === undefined ? {} : { resume: { ...resume, seen: Uint32Array.from(resume.seen) } };
  return { request: { ...request, prompt: Uint32Array.from(front.prompt), ...of }, rest: continued(bytes.subarray(end), reader) };
}

/** These bytes and then what the reader brings. */
export function continued(first: Uint8Array, reader: ReadableStreamDefaultReader<Uint8Array>): ReadableStream<Uint8Array> {
  let front: Uint8Array | undefined = first;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const chunk = front;
      front = undefined;
      if (chunk !== undefined && chunk.byteLength > 0) {
        controller.enqueue(chunk);
        return;
      }
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel(reason) {
      await reader.cancel(reason);
    },
  });
}
