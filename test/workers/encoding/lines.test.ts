import { expect, test } from "vitest";
import { ByteLines } from "../../../workers/encoding/lines.ts";

const oddLines = ["", "plain", "ü", "漢字 and 👩‍👩‍👧", "", '{"text":"naïve\\n"}', "\r"];
const bytes = new TextEncoder().encode(`${oddLines.join("\n")}\n`);

/** Reads the lines of chunks, one after another. */
function read(...chunks: readonly Uint8Array[]): string[] {
  const lines = new ByteLines();
  return chunks.flatMap((chunk) => {
    lines.push(chunk);
    return [...lines.lines()];
  });
}

test("lines come back as they were, in chunks of every length", () => {
  for (let length = 1; length <= bytes.length; length++) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / length) }, (_unused, at) =>
      bytes.subarray(at * length, (at + 1) * length),
    );
    expect(read(...chunks)).toEqual(oddLines);
  }
});

test("lines come back as they were, with any two cuts, inside a character and beside an empty chunk too", () => {
  for (let first = 0; first <= bytes.length; first++)
    for (let second = first; second <= bytes.length; second++)
      expect(read(bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second))).toEqual(oddLines);
});

test("a line without its end is not one yet", () => {
  expect(read(bytes.subarray(0, -1))).toEqual(oddLines.slice(0, -1));
});

test("chunks may wait for their reader, and raw bytes lie between lines whatever they are", () => {
  const wire = Uint8Array.of(0x61, 10, 10, 0xff, 0, 0x62, 10);
  for (let cut = 0; cut <= wire.length; cut++) {
    const lines = new ByteLines();
    lines.push(wire.subarray(0, cut));
    lines.push(wire.subarray(cut));
    expect([lines.line(), lines.bytes(3), lines.line(), lines.line()]).toEqual(["a", Uint8Array.of(10, 0xff, 0), "b", undefined]);
  }
});
