/** Both ways of merging against the plainest one, on vocabularies whose ranks are in no order that a trainer would give. */
import { expect, test, vi } from "vitest";
import { BytePairMerger } from "../../../workers/tokenizer/byte-pair-merger.ts";
import { GrowingArray } from "../../../workers/tokenizer/growing-array.ts";
import { buildMergeTable } from "../../../workers/tokenizer/merge-table.ts";
import { tokensOfBytes } from "../../../workers/tokenizer/byte-alphabet.ts";
import { randomNumbers } from "./random-numbers.ts";

// Only ends a test that hangs, on a machine however busy.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

type Random = (bound: number) => number;

/** Merges of tokens over `abc`, each given a random rank. */
function randomMerges(random: Random): { readonly tokens: readonly string[]; readonly merges: readonly string[] } {
  const tokens = ["a", "b", "c"];
  const merges = new Set<string>();
  for (let tries = 0; tries < 120; tries++) {
    const left = tokens[random(tokens.length)] ?? "";
    const right = tokens[random(tokens.length)] ?? "";
    if (left.length + right.length > 12) continue;
    merges.add(`${left} ${right}`);
    if (!tokens.includes(left + right)) tokens.push(left + right);
  }
  const ranked = [...merges].map((merge) => ({ merge, order: random(1 << 30) })).sort((one, other) => one.order - other.order);
  return { tokens, merges: ranked.map(({ merge }) => merge) };
}

function mergeNaively(word: string, merges: readonly string[]): string[] {
  const rankOf = new Map(merges.map((merge, rank) => [merge, rank]));
  let symbols = Array.from(word);
  while (true) {
    const ranks = symbols.slice(1).map((right, index) => rankOf.get(`${symbols[index] ?? ""} ${right}`) ?? Infinity);
    const lowest = Math.min(...ranks);
    if (lowest === Infinity) return symbols;
    const at = ranks.indexOf(lowest);
    symbols = [...symbols.slice(0, at), (symbols[at] ?? "") + (symbols[at + 1] ?? ""), ...symbols.slice(at + 2)];
  }
}

test("words of every length merge as the plainest way merges them", () => {
  const random = randomNumbers(3);
  const encoder = new TextEncoder();
  for (let vocabulary = 0; vocabulary < 60; vocabulary++) {
    const { tokens, merges } = randomMerges(random);
    const idOfToken = new Map(tokens.map((token, id) => [token, id]));
    const merger = new BytePairMerger(buildMergeTable(merges, idOfToken), tokensOfBytes(idOfToken));
    for (const length of [1, 2, 3, 7, 20, 127, 128, 129, 130, 200, 400]) {
      const word = Array.from({ length }, () => "abc"[random(3)]).join("");
      // A byte that the vocabulary lacks vanishes, and its neighbours merge across it.
      const bytes = encoder.encode(word.replaceAll("ca", "c?a"));
      const output = new GrowingArray();
      merger.append(bytes, 0, bytes.length, output);
      const expected = mergeNaively(word, merges).map((token) => idOfToken.get(token));
      expect(Array.from(output.copy()), `${word} by ${merges.join(", ")}`).toEqual(expected);
    }
  }
});
