import { expect, test } from "vitest";
import { formSummary, modelCard, type LiveFacts } from "../../../workers/gateway/http/model-card.ts";
import { tinyManifest } from "../support/tiny-tokenizer.ts";

const { form } = tinyManifest;
const away: LiveFacts = { description: null, status: { status: "unavailable", reason: "away", kinds: [] }, aliases: [] };
const kinds = (...mixers: readonly [mixer: string, count: number][]) =>
  mixers.map(([mixer, count], at) => ({ mixer, feedForward: at % 2 === 0 ? "dense" : "moe", count }));

test.each([
  ["window 512 + evicted-token state in every layer", 512, kinds(["evicted", 30])],
  ["full attention in every layer", null, kinds(["full", 2], ["full", 28])],
  ["linear attention in 14 layers, window 2048 in 14 layers", 2048, kinds(["linear", 14], ["window", 14])],
  [
    "linear attention + window 4096 in 28 layers, linear attention + full attention in 4 layers",
    4096,
    kinds(["linear+window", 28], ["linear+full", 4]),
  ],
])("%s", (summary, window, layers) => {
  expect(formSummary({ ...form, window, layers })).toBe(summary);
});

test("while no backend answers, the card says what the files say and leaves the rest open", () => {
  expect(modelCard({ ...tinyManifest, origin: { license: null, weights: null, teacher: null } }, away)).toMatchObject({
    max_model_len: 512,
    context: { unlimited: null, trained_tokens: 512 },
    form: { window: 16 },
    state: null,
    spiking: null,
    license: null,
    teacher: null,
  });
});

test("the card says how tokens are chosen where a request does not", () => {
  expect(modelCard(tinyManifest, away)).toMatchObject({
    defaults: { temperature: 1, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 },
  });
  expect(modelCard({ ...tinyManifest, defaults: { temperature: 0.2, top_p: 0.9 } }, away)).toMatchObject({
    defaults: { temperature: 0.2, top_p: 0.9, top_k: 0, min_p: 0, repetition_penalty: 1 },
  });
});

test("the card says whether browsers may have the weights, and how large they are", () => {
  expect(modelCard(tinyManifest, away)).toMatchObject({ download: null });
  expect(modelCard({ ...tinyManifest, download: { bytes: 5, files: [] } }, away)).toMatchObject({ download: { bytes: 5 } });
});
