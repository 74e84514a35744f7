import { expect, test } from "vitest";
import type { GenerateEvent } from "../../../workers/contracts/engine.ts";
import { decodeEvents, encodeEvent, encodeHeartbeat } from "../../../workers/contracts/event-stream.ts";

const usage = { promptTokens: 1, completionTokens: 2, cachedTokens: 0 };
const events: GenerateEvent[] = [
  { type: "token", id: 1, logprob: { id: 1, logprob: -0.5, top: [[1, -0.5]] } },
  { type: "token", id: 2 },
  { type: "finish", reason: "stop", stopToken: 7, usage },
];

function streamOf(bytes: Uint8Array, cut: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(at, (at += cut)));
    },
  });
}

async function read(bytes: Uint8Array, cut = bytes.length, signal?: AbortSignal): Promise<GenerateEvent[]> {
  const all: GenerateEvent[] = [];
  for await (const event of decodeEvents(streamOf(bytes, cut), signal)) all.push(event);
  return all;
}

const joined = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => Array.from(part)));
const encoded = joined(...events.map(encodeEvent));

test("events come back as they were, whatever the cuts", async () => {
  for (let cut = 1; cut <= encoded.length; cut++) expect(await read(encoded, cut)).toEqual(events);
});

test("heartbeats mean nothing, and nothing after the terminal event is read", async () => {
  const bytes = joined(
    encodeHeartbeat(),
    ...events.flatMap((event) => [encodeEvent(event), encodeHeartbeat()]),
    encodeEvent(events[1] as GenerateEvent),
  );
  expect(await read(bytes)).toEqual(events);
});

test.each<readonly [name: string, bytes: Uint8Array]>([
  ["no terminal event", encodeEvent(events[0] as GenerateEvent)],
  ["half a line", encoded.slice(0, -3)],
  ["a line that is not JSON", joined(encodeEvent(events[0] as GenerateEvent), new TextEncoder().encode("{oops}\n"))],
  ["nothing", new Uint8Array()],
])("%s ends in one error event", async (_name, bytes) => {
  const all = await read(bytes);
  expect(all.filter((event) => event.type === "error")).toHaveLength(1);
  expect(all.at(-1)).toMatchObject({ type: "error", failure: { code: "engine_unavailable", retryable: true } });
});

test("an abort frees a reader of a silent stream and cancels the stream", async () => {
  let cancelled = false;
  const silent = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
  const abort = new AbortController();
  const next = decodeEvents(silent, abort.signal).next();
  setTimeout(() => abort.abort(), 5);
  expect((await next).value).toMatchObject({ type: "error" });
  expect(cancelled).toBe(true);
});
