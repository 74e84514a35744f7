/** An answer's entries that break on their way name the service that they come from. */
import { expect, test } from "vitest";
import { decodeEntries } from "../../../workers/contracts/entry-stream.ts";

function streamOf(...chunks: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
}

async function read(stream: ReadableStream<Uint8Array>): Promise<number> {
  let count = 0;
  for await (const entries of decodeEntries(stream)) count += entries.filter(({ number }) => number !== null).length;
  return count;
}

test("entries that were known when it was opened come before the stream's, which is not waited for", async () => {
  const line = (number: number, event: object) => `${JSON.stringify({ number, event })}\n`;
  const [first, second, last] = [line(1, { type: "delta" }), line(2, { type: "delta" }), line(3, { type: "done" })];
  const batches: number[][] = [];
  for await (const entries of decodeEntries(streamOf(last), undefined, first + second))
    batches.push(entries.map(({ number }) => number ?? 0));
  expect(batches).toEqual([[1, 2], [3]]);
  const silent = new ReadableStream<Uint8Array>();
  for await (const entries of decodeEntries(silent, undefined, first + second + last)) expect(entries).toHaveLength(3);
});

test.each([
  ["ends without an end", streamOf("\n"), "broke off"],
  ["breaks off", new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("lost")) }), "broke off"],
  ["holds a line that is not JSON", streamOf('{"number":0,"ev', "\n"), "a line that is not JSON"],
])("a stream that %s is the session service's fault, and can be resumed", async (_name, stream, message) => {
  await expect(read(stream)).rejects.toMatchObject({
    failure: {
      code: "session_unavailable",
      status: 502,
      message: expect.stringMatching(`^The session service.*${message}.*can be resumed`) as string,
      retryable: true,
    },
  });
});
