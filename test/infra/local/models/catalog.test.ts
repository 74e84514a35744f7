/** Cards and tokenizers of models that only a pool serves, against what `gpu-backend` says of the same models. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { prepareCatalog } from "../../../../infra/local/models/catalog.ts";
import { readKnownFacts } from "../../../../infra/local/models/known-facts.ts";
import { isPooled, readRegistry, type PooledModel } from "../../../../infra/local/models/registry.ts";
import { readTokenizerPins, tokenizerFile } from "../../../../infra/local/models/tokenizers.ts";
import { inRepository } from "../../../../infra/local/paths.ts";
import type { ModelForm, ModelIndex, ModelManifest } from "../../../../workers/contracts/model-files.ts";
import { fullAttentionBytesPerToken, isConstant, stateBytes, type KeysAndValues } from "../../../../workers/models/state-size.ts";
import { runPython } from "../../../support/python.ts";
import { preparedTokenizerFile, publishedTokenizerPath } from "../../../workers/tokenizer/served-tokenizer.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

interface Published {
  readonly form: ModelForm;
  readonly parameters: number;
  readonly contextLength: number;
  readonly states: Readonly<Record<KeysAndValues, readonly (readonly [tokens: number, bytes: number])[]>>;
}

const published = JSON.parse(runPython("test/infra/local/models/published_forms.py")) as Readonly<Record<string, Published>>;
const pooled = (id: string) => readRegistry().get(id) as PooledModel;

describe("the catalog", () => {
  it.each([
    ["spikingbrain-7b", "spikingbrain-7b"],
    ["spikingbrain-7b-chat", "spikingbrain-7b"],
    ["spikingbrain-76b", "spikingbrain-76b"],
  ])("says of %s what gpu-backend says", (id, preset) => {
    const { form, parameters, contextLength } = pooled(id);
    const { states: _states, ...said } = published[preset] as Published;
    expect({ form, parameters, contextLength }).toEqual(said);
  });

  it.each(Object.keys(published))("counts the bytes of a state as gpu-backend does: %s", (name) => {
    const { form, states } = published[name] as Published;
    for (const [kind, sizes] of Object.entries(states) as [KeysAndValues, Published["states"][KeysAndValues]][])
      for (const [tokens, bytes] of sizes) expect([kind, tokens, stateBytes(form, tokens, kind)]).toEqual([kind, tokens, bytes]);
  });

  it("knows which states are constant, and what full attention would take in their place", () => {
    const { form: seven } = pooled("spikingbrain-7b");
    const { form: seventySix } = pooled("spikingbrain-76b");
    expect([isConstant(seven), isConstant(seventySix)]).toEqual([true, false]);
    // 28 layers of 4 heads of 128 keys and values in two bytes each.
    expect(fullAttentionBytesPerToken(seven, "bf16")).toBe(28 * 2 * 4 * 128 * 2);
  });

  it("reads the tokens that a replica with the released files reads", () => {
    const folder = temporaryDirectory();
    const template = readFileSync(inRepository("infra/models/tokenizers/qwen2.5.jinja"), "utf8");
    writeFileSync(join(folder, "tokenizer.json"), readFileSync(publishedTokenizerPath("qwen2.5")));
    const settings = { add_bos_token: false, bos_token: "<|im_start|>", eos_token: "<|endoftext|>", pad_token: "<|endoftext|>" };
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify({ ...settings, chat_template: template }));
    writeFileSync(join(folder, "config.json"), JSON.stringify({ bos_token_id: 151_643, eos_token_id: 151_643 }));
    const replicas = runPython("test/infra/local/models/replica_tokenizer.py", folder, "152064").trim();
    const written = createHash("sha256")
      .update(JSON.stringify(preparedTokenizerFile("qwen2.5")))
      .digest("hex");
    expect([written, readTokenizerPins().get("qwen2.5")?.writtenSha256]).toEqual([replicas, replicas]);
  });

  it("fetches no tokenizer that nobody asked for, and has every model's card in any case", async () => {
    const cache = process.env.SPIKINGBRAIN_CACHE;
    process.env.SPIKINGBRAIN_CACHE = temporaryDirectory();
    try {
      const output = temporaryDirectory();
      const served = { id: "spikingbrain-7b-chat" } as ModelManifest;
      const index = await prepareCatalog(output, served, { all: false });
      const { id: first } = served;
      expect(index.models.map(({ id, tokenizer }) => [id, tokenizer])).toEqual([
        [first, "/model/tokenizer.json"],
        ...[...readRegistry().keys()].filter((id) => id !== first).map((id) => [id, null]),
      ]);
      expect(JSON.parse(readFileSync(join(output, "gateway/models.json"), "utf8")) as ModelIndex).toEqual(index);
      const card: unknown = JSON.parse(readFileSync(join(output, "models/catalog/spikingbrain-76b/manifest.json"), "utf8"));
      expect(card).toMatchObject({ sha256: null, origin: { license: null, weights: null }, runsOn: ["pool"] });
      // One that this machine could run, and whose file is not here.
      const local: unknown = JSON.parse(readFileSync(join(output, "gateway/catalog/spikingbrain-coder-0.5b/manifest.json"), "utf8"));
      expect(local).toMatchObject({
        ...readKnownFacts("spikingbrain-coder-0.5b"),
        ...{ origin: { license: "apache-2.0", teacher: { name: "Qwen2.5-Coder-0.5B-Instruct" } }, runsOn: ["engine", "pool"] },
      });
      // A file of another hand is put right, wherever it lies.
      rmSync(join(output, "models/models.json"));
      writeFileSync(join(output, "gateway/models.json"), "{}");
      mkdirSync(join(output, "gateway/tokenizers"), { recursive: true });
      await prepareCatalog(output, served, { all: false });
      for (const folder of ["gateway", "models"])
        expect(JSON.parse(readFileSync(join(output, folder, "models.json"), "utf8")) as ModelIndex).toEqual(index);
    } finally {
      if (cache === undefined) delete process.env.SPIKINGBRAIN_CACHE;
      else process.env.SPIKINGBRAIN_CACHE = cache;
    }
  });

  it("refuses a tokenizer that it can't write down whole", () => {
    const file = JSON.parse(readFileSync(publishedTokenizerPath("qwen2.5"), "utf8")) as { readonly model: object };
    const { package: _package, writtenSha256: _sha, chatTemplate: _template, ...pin } = readTokenizerPins().get("qwen2.5") ?? expect.fail();
    const make = (change: Partial<typeof pin>, model: object = {}) => {
      return () => tokenizerFile({ ...file, model: { ...file.model, ...model } }, { ...pin, ...change }, "");
    };
    expect(make({ vocabularySize: 151_664 })).toThrow('"vocabularySize" must be at least 151665; it is 151664');
    expect(make({ padToken: "<pad>" })).toThrow('"<pad>" must be one of its added tokens');
    expect(make({}, { ignore_merges: true })).toThrow("must be one that merges every word");
  });
});

it("counts every registered model once", () => {
  const ids = [...readRegistry().values()].map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect([...readRegistry().values()].filter((model) => isPooled(model)).map(({ id }) => id)).toEqual([
    "spikingbrain-76b",
    "spikingbrain-7b-chat",
    "spikingbrain-7b",
  ]);
});
