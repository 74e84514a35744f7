/** What is said of a state file without a model, beside what the engine makes. */
import { describe, expect, it } from "vitest";
import { describeStateFile } from "../../infra/node/state-file.ts";
import { loadGolden, opened, packages } from "./packages.ts";
import { saved } from "./state-files.ts";

const [[, built]] = packages as [(typeof packages)[number]];

/** A file of the model with a window of 12 tokens, of which so many have been read. */
function fileAfter(tokens: number, model = "evicted-q8_0"): Uint8Array {
  const engine = loadGolden(built, model);
  const sequence = opened(
    engine,
    Array.from({ length: tokens }, (_, at) => at % 59),
  );
  if (tokens > 0) engine.step(Uint32Array.of(sequence, tokens));
  const file = saved(engine, sequence);
  engine.free();
  return file;
}

describe("a state file's description", () => {
  it.each([0, 1, 11, 12, 33, 34, 45, 64, 75])("has the file's length and its tokens: %i", (tokens) => {
    const file = fileAfter(tokens);
    const { groups, ...found } = describeStateFile(file.subarray(0, 200), file.length);
    expect(found).toMatchObject({ tokens, kept: 3, learnedSinks: 0, keysAndValues: "f32", bytes: file.length });
    const near = Math.min(tokens, 11);
    const start = tokens - near;
    const held = [...Array.from({ length: Math.min(3, start) }, (_, at) => at), ...Array.from({ length: near }, (_, at) => start + at)];
    const pages = new Set(held.map((token) => Math.floor(token / 32))).size;
    expect(groups).toEqual([{ window: 12, tokens: held.length, pages, bytesPerToken: groups[0]?.bytesPerToken }]);
  });

  it("has a group for each extent, and learned sinks apart", () => {
    const file = fileAfter(40, "parallel-f32");
    expect(describeStateFile(file, file.length)).toMatchObject({
      ...{ tokens: 40, learnedSinks: 5, kept: 5, bytes: file.length },
      groups: [
        { window: 20, tokens: 24 },
        { window: null, tokens: 45, pages: 2 },
      ],
    });
  });

  it.each([
    ["SBSFxxxx", "It is sealed"],
    ["GGUF".repeat(40), 'its magic must be SBST; it is "GGUF"'],
    ["SBST", "its length must be at least 136; it is 4"],
  ])("refuses %s", (text, message) => {
    expect(() => describeStateFile(new TextEncoder().encode(text), text.length)).toThrow(message);
  });

  it.each([
    [4, 2, "its version must be 3; it is 2"],
    [111, 1, "its position must be from 0 to 2^30"],
    [120, 2, "its type of keys and values must be one of 0 to 1; it is 2"],
    [121, 7, "its type of the recurrent part must be one of 0 to 1; it is 7"],
    [135, 1, "its number of groups must be one that its length allows"],
  ])("refuses a file whose byte %i is %i", (at, value, message) => {
    const file = fileAfter(3);
    file[at] = value;
    expect(() => describeStateFile(file, file.length)).toThrow(message);
  });
});
