import { describe, expect, it } from "vitest";
import { createEventParser, readEventStream } from "../../../workers/page/src/api/event-stream.ts";

function parse(chunks: readonly string[]): string[] {
  const parser = createEventParser();
  return chunks.flatMap((chunk) => parser.push(chunk)).map(({ data }) => data);
}

describe("event stream parser", () => {
  it.each([
    ["LF", "data: a\n\ndata: b\n\n"],
    ["CRLF", "data: a\r\n\r\ndata: b\r\n\r\n"],
    ["CR", "data: a\r\rdata: b\r\r\n"],
    ["no space after the colon", "data:a\n\ndata:b\n\n"],
    ["comments and other fields", ": hello\n\nid: 7\nevent: x\nretry: 10\ndata: a\n\n:\ndata: b\n: between\n\n"],
  ])("reads events with %s however they are cut", (_name, text) => {
    for (let cut = 0; cut <= text.length; cut += 1) expect(parse([text.slice(0, cut), text.slice(cut)])).toEqual(["a", "b"]);
    expect(parse(text.match(/[^]/g) ?? [])).toEqual(["a", "b"]);
  });

  it("joins the data lines of one event", () => {
    expect(parse(["data: a\ndata\ndata:  b\n\n"])).toEqual(["a\n\n b"]);
  });

  it("drops an event without its blank line", () => {
    expect(parse(["data: a\n\ndata: b\n"])).toEqual(["a"]);
  });

  it("tells the newest id with each event, and not that of an event that was cut off", () => {
    const parser = createEventParser();
    expect(parser.push("data: a\n\nid: s.1\ndata: b\n\ndata: c\n\nid: s.2\n")).toEqual([
      { id: "", data: "a" },
      { id: "s.1", data: "b" },
      { id: "s.1", data: "c" },
    ]);
  });

  it("does not take other fields that begin with data", () => {
    expect(parse(["database: a\n\n"])).toEqual([]);
  });

  it("decodes characters that are cut between chunks", async () => {
    const bytes = new TextEncoder().encode("data: 你好 🎈\n\n");
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const events: string[] = [];
    for await (const { data } of readEventStream(stream)) events.push(data);
    expect(events).toEqual(["你好 🎈"]);
  });

  it("cancels the source when its reader leaves early", async () => {
    let cancelled = false;
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new TextEncoder().encode("data: a\n\n")),
      cancel: () => void (cancelled = true),
    });
    for await (const { data } of readEventStream(stream)) if (data === "a") break;
    expect(cancelled).toBe(true);
  });
});
