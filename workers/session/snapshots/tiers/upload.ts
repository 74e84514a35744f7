/** Writes chunks to another service as one value whose length is known. */
import { answerOf } from "./deadline.ts";

/** 13 MB take a second or two. */
const uploadMilliseconds = 60_000;

export interface Upload {
  readonly service: string;
  readonly bytes: number;
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly put: (value: ReadableStream<Uint8Array>) => Promise<unknown>;
}

/** @throws ServiceUnreachable, also where the chunks fail; nothing goes on in the background then. */
export async function upload({ service, bytes, chunks, put }: Upload): Promise<void> {
  const { readable, writable } = new FixedLengthStream(bytes);
  const writer = writable.getWriter();
  const write = async () => {
    for await (const chunk of chunks) await writer.write(chunk);
    await writer.close();
  };
  try {
    await answerOf(service, Promise.all([put(readable), write()]), uploadMilliseconds);
  } catch (cause) {
    // A service that fails early leaves a writer behind that nobody reads from.
    await writer.abort(cause).catch(() => undefined);
    throw cause;
  }
}
