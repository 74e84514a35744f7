/** The toy's states are what the store's tests and the random walk believe in. */
import { describe, expect, test } from "vitest";
import { decode, encode, toyHeaderBytes, toyRowBytes, ToyState } from "../workers/support/toy-state.ts";

const text = (length: number, seed = 0) => Array.from({ length }, (_unused, at) => (at * 37 + seed) % 250);

/** As a store may cut a file from which nothing is gone. */
function cut(file: Uint8Array, tokens: number): Uint8Array {
  const shorter = file.slice(0, toyHeaderBytes + tokens * toyRowBytes);
  new DataView(shorter.buffer).setBigUint64(104, BigInt(tokens), true);
  return shorter;
}

describe("a toy's state file", () => {
  test("holds everything that decides what comes next, and stops growing", () => {
    for (const length of [0, 1, 31, 32, 63, 64, 67, 68, 69, 200]) {
      const state = decode(encode(text(length)));
      for (const id of [9, 8, 7]) state.read(id);
      expect([length, state.digest]).toEqual([length, ToyState.of([...text(length), 9, 8, 7]).digest]);
    }
    expect([67, 68, 69, 400].map((length) => encode(text(length)).length - toyHeaderBytes)).toEqual([1072, 1088, 1088, 1088]);
  });

  test("can be cut to any earlier position until something has left the window", () => {
    for (let length = 1; length <= 67; length++)
      for (let tokens = 0; tokens <= length; tokens++) expect(cut(encode(text(length)), tokens)).toEqual(encode(text(tokens)));
  });

  test("has pages that never change once they are full", () => {
    const page = (length: number) => encode(text(length), 1).subarray(toyHeaderBytes, toyHeaderBytes + 32 * toyRowBytes);
    expect(page(64)).toEqual(page(67));
    expect(encode(text(68), 2)).toHaveLength(toyHeaderBytes + 16 + 4 * toyRowBytes);
  });

  test("of another text, of an older one, or of mixed pages says something else", () => {
    const next = (file: Uint8Array) => decode(file).digest;
    const right = encode(text(100));
    const mixed = Uint8Array.from([...right.subarray(0, -toyRowBytes), ...encode(text(100, 1)).subarray(-toyRowBytes)]);
    const stale = encode(text(99));
    new DataView(stale.buffer).setBigUint64(104, 100n, true);
    expect(new Set([right, mixed, stale, encode([5, ...text(100).slice(1)]), encode(text(100, 1))].map(next)).size).toBe(5);
  });
});
