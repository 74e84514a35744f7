import { expect, test } from "vitest";
import type { GgufFacts } from "../../../../infra/local/gguf/metadata.ts";
import { manifestOf } from "../../../../infra/local/models/prepare-model.ts";
import type { ModelSource } from "../../../../infra/local/models/source.ts";

const facts: GgufFacts = {
  contextLength: 8,
  form: { layers: [], window: null, keptTokens: 0, learnedSinks: 0, salientTokens: null, kvHeads: 1, headDim: 2 },
  license: "mit",
  tokenizer: {
    ...{ model: "gpt2", pre: "smollm", tokens: ["a"], tokenTypes: [1], merges: [], bosTokenId: null },
    ...{ eosTokenIds: [0], addBosToken: false, chatTemplate: null },
  },
  defaults: { temperature: 0.7, top_k: 40 },
};
const source: ModelSource = {
  ...{ path: "a.gguf", id: "a", created: 1, ownedBy: "us", license: null, teacher: null, defaults: {}, download: false, known: null },
};
const manifest = (changes: Partial<ModelSource>) =>
  manifestOf({ ...source, ...changes }, facts, { bytes: 1, sha256: "0", shards: [] }, "{}");

test("sampling defaults are the card's, all of them, and the file's where the card has none", () => {
  expect(manifest({}).defaults).toEqual({ temperature: 0.7, top_k: 40 });
  expect(manifest({ defaults: { temperature: 0.2, top_p: 0.9 } }).defaults).toEqual({ temperature: 0.2, top_p: 0.9 });
});

test("the license is the card's, and the file's where the card has none", () => {
  expect(manifest({}).origin.license).toBe("mit");
  expect(manifest({ license: "apache-2.0" }).origin.license).toBe("apache-2.0");
});

test("how decisions are asked is said of the weights alone that it was measured on", () => {
  const measured = { labels: "words", prior: true, temperature: 1.5 } as const;
  expect(manifest({ decisions: { ...measured, weights: "0" } }).decisions).toEqual(measured);
  expect(manifest({ decisions: { ...measured, weights: "1" } })).not.toHaveProperty("decisions");
});

test("browsers may read the weights where they are given away, each shard under its digest", () => {
  const shards = [{ file: "shard-000.bin", bytes: 1, sha256: "ab" }];
  const written = (download: boolean, bytes = 1) => manifestOf({ ...source, download }, facts, { bytes, sha256: "0", shards }, "{}");
  expect(written(true).download).toEqual({ bytes: 1, files: [{ file: "ab.bin", bytes: 1, sha256: "ab" }] });
  expect(written(true).shards).toEqual(shards);
  expect(written(false)).not.toHaveProperty("download");
  // No page can hold it, and what is not in shards is nowhere to be read.
  expect(written(true, 2 ** 31 + 1)).not.toHaveProperty("download");
  expect(manifest({ download: true })).not.toHaveProperty("download");
});
