import { describe, expect, test, vi } from "vitest";
import { stateChunkBytes, type GenerateEvent } from "../../../workers/contracts/engine.ts";
import { decodeEvents, encodeEvent, encodeHeartbeat } from "../../../workers/contracts/event-stream.ts";
import { pause } from "../../../workers/waiting/within.ts";

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

async function read(bytes: Uint8Array, cut = bytes.length, afterFinish = false): Promise<GenerateEvent[]> {
  const all: GenerateEvent[] = [];
  for await (const event of decodeEvents(streamOf(bytes, cut), undefined, { afterFinish })) all.push(event);
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

describe("states", () => {
  const chunk = (tokens: number, ...bytes: number[]): GenerateEvent => ({ type: "state", tokens, bytes: Uint8Array.from(bytes) });
  const [first, second, finish] = events as [GenerateEvent, GenerateEvent, GenerateEvent];
  const whole: GenerateEvent[] = [
    { type: "restored", tokens: 1 },
    // Bytes that would end a line, begin one, or be no text.
    chunk(2, 10, 123, 10, 0, 255),
    chunk(2, 10),
    { type: "saved", tokens: 2 },
    first,
    second,
    finish,
    chunk(3, 34, 10, 125),
    { type: "saved", tokens: 3 },
  ];
  const wire = joined(...whole.map(encodeEvent));

  test("lie between the lines as they are", () => {
    const text = '{"type":"state","tokens":2,"length":5}\n';
    expect(encodeEvent(whole[1] as GenerateEvent)).toEqual(joined(new TextEncoder().encode(text), Uint8Array.of(10, 123, 10, 0, 255)));
  });

  test("come back as they were, whatever the cuts", async () => {
    for (let cut = 1; cut <= wire.length; cut++) expect(await read(wire, cut, true)).toEqual(whole);
  });

  test("follow the terminal event for those who asked, and nobody else", async () => {
    expect(await read(wire)).toEqual(whole.slice(0, 7));
    expect(await read(joined(wire, encodeEvent(first)), wire.length + 9, true)).toEqual(whole);
  });

  test("broken off before the answer's end break the stream, after it only themselves", async () => {
    const saved = encodeEvent(whole.at(-1) as GenerateEvent).length;
    const early = joined(...whole.slice(0, 2).map(encodeEvent));
    expect(await read(early.slice(0, -2), 7, true)).toMatchObject([whole[0], { type: "error", failure: { code: "engine_unavailable" } }]);
    const unsaved = { type: "unsaved", tokens: 3, reason: "the engine's stream ended too early" };
    for (let length = 1; length <= saved + 3; length++) {
      const all = await read(wire.slice(0, -length), 11, true);
      expect(all).toEqual([...whole.slice(0, length <= saved ? 8 : 7), unsaved]);
    }
  });

  test("an error after the answer is whole takes nothing from it", async () => {
    const late: GenerateEvent = { type: "error", failure: { code: "internal_error", status: 500, message: "oops", retryable: true } };
    expect(await read(joined(...[first, finish, late].map(encodeEvent)), 9, true)).toEqual([
      first,
      finish,
      { type: "unsaved", tokens: 3, reason: "oops" },
    ]);
  });

  test.each([0, -1, 1.5, stateChunkBytes + 1])("a chunk of %d bytes is refused before it is read", async (length) => {
    const all = await read(new TextEncoder().encode(`{"type":"state","tokens":2,"length":${String(length)}}\n`));
    expect(all).toMatchObject([{ type: "error", failure: { message: expect.stringContaining(`has ${String(length)}`) as string } }]);
  });

  test("the longest chunk comes in many chunks", async () => {
    const bytes = Uint8Array.from({ length: stateChunkBytes }, (_unused, at) => at);
    const [state] = await read(encodeEvent({ type: "state", tokens: 1, bytes }), 100);
    expect(state?.type === "state" && state.bytes.every((byte, at) => byte === (at & 255))).toBe(true);
  });
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

describe("silence", () => {
  const silenceMilliseconds = 200;
  const decoded = async (stream: ReadableStream<Uint8Array>, afterFinish = false): Promise<GenerateEvent[]> => {
    const all: GenerateEvent[] = [];
    for await (const event of decodeEvents(stream, undefined, { afterFinish, silenceMilliseconds })) all.push(event);
    return all;
  };
  /** Sends these, each after a while, and then nothing. */
  const slowly = (parts: readonly Uint8Array[], milliseconds: number, onCancel: () => void = () => undefined) => {
    const left = [...parts];
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          await pause(milliseconds);
          const next = left.shift();
          if (next === undefined) await new Promise(() => undefined);
          else controller.enqueue(next);
        },
        cancel: onCancel,
      },
      { highWaterMark: 0 },
    );
  };

  test("that lasts too long ends in one error event, and lets go of the backend", async () => {
    const cancelled = vi.fn();
    const all = await decoded(slowly([encodeEvent(events[0] as GenerateEvent)], 1, cancelled));
    expect(all).toMatchObject([
      { type: "token" },
      { type: "error", failure: { code: "engine_unavailable", status: 502, retryable: true } },
    ]);
    expect(all[1]).toMatchObject({ failure: { message: expect.stringContaining("silent for 0.2 seconds") as string } });
    expect(cancelled).toHaveBeenCalledOnce();
  });

  test("after the answer is whole takes the state alone", async () => {
    const all = await decoded(slowly([encodeEvent(events[2] as GenerateEvent)], 1), true);
    expect(all).toMatchObject([{ type: "finish" }, { type: "unsaved", reason: expect.stringContaining("silent") as string }]);
  });

  test("that is broken by signs of life lasts as long as it takes", async () => {
    const signs = Array.from({ length: 6 }, encodeHeartbeat);
    expect(await decoded(slowly([...signs, encoded], 50))).toEqual(events);
  });

  test("of a reader is not the backend's", async () => {
    const read: GenerateEvent[] = [];
    for await (const event of decodeEvents(slowly([...events.map(encodeEvent)], 1), undefined, { silenceMilliseconds })) {
      read.push(event);
      await pause(2 * silenceMilliseconds);
    }
    expect(read).toEqual(events);
  });
});
