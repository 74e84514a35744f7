import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { defaultModel, localModels, readRegistry } from "../../../../infra/local/models/registry.ts";
import { generationFields } from "../../../../workers/gateway/schema/generation-fields.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const wheels = [{ requirement: "a==1", archive: "a.whl", archiveSha256: "0".repeat(64), member: "a/a.gguf" }];
const file = { name: "a.gguf", bytes: 9, sha256: "1".repeat(64), sources: [{ url: "https://example.com/a.gguf" }, { wheels }] };
const teacher = { id: "big", created: 1, ownedBy: "us", license: "mit", source: { name: "Big", url: "https://example.com" }, file };
const student = {
  id: "small",
  defaults: { temperature: 0.5 },
  created: 2,
  ownedBy: "us",
  license: "mit",
  teacher: "big",
  delta: "small.delta.gguf",
};

const form = {
  ...{ layers: [{ mixer: "linear", feedForward: "dense", count: 2 }], window: null, keptTokens: 0, learnedSinks: 0 },
  ...{ salientTokens: null, kvHeads: 1, headDim: 8 },
};
const pooled = {
  ...{ id: "large", created: 3, ownedBy: "them", license: null, weights: null, tokenizer: "qwen2.5" },
  ...{ parameters: 10, contextLength: 100, form },
};

function registry(...models: readonly object[]): string {
  const directory = temporaryDirectory();
  for (const [at, model] of models.entries()) {
    const name = "id" in model && typeof model.id === "string" ? model.id : String(at);
    writeFileSync(join(directory, `${name}.json`), JSON.stringify(model));
  }
  return directory;
}

describe("readRegistry", () => {
  it("holds the model that is served by default", () => {
    expect([...readRegistry().keys()]).toContain(defaultModel);
  });

  it("reads downloaded and converted models, and those of a pool", () => {
    const models = readRegistry(registry(teacher, pooled, student));
    expect([...models.values()]).toEqual([teacher, pooled, student]);
    expect([...localModels(models).keys()]).toEqual(["big", "small"]);
  });

  it("gives every built-in model a temperature for requests that name none", () => {
    for (const { id, defaults } of localModels(readRegistry()).values())
      expect([id, defaults]).toEqual([
        id,
        id.includes("coder") ? { temperature: 0.7, top_p: 0.8, top_k: 20 } : { temperature: 0.2, top_p: 0.9 },
      ]);
  });

  it("bounds defaults as requests are bounded", () => {
    const values = [-1.5, -1, 0, 1e-9, 0.5, 1, 1.5, 2, 2.5, 1_000_000, 1_000_001];
    for (const field of ["temperature", "top_p", "top_k", "min_p", "repetition_penalty"] as const) {
      for (const value of values) {
        const isTaken = () => {
          try {
            return readRegistry(registry({ ...teacher, defaults: { [field]: value } })).size === 1;
          } catch {
            return false;
          }
        };
        expect([field, value, isTaken()]).toEqual([field, value, generationFields[field].safeParse(value).success]);
      }
    }
  });

  it.each<[name: string, models: readonly object[], message: RegExp]>([
    ["a digest that is none", [{ ...teacher, file: { ...file, sha256: "abc" } }], /64 lower-case hexadecimal digits[^]*file.sha256/],
    ["a file without a source", [{ ...teacher, file: { ...file, sources: [] } }], /file.sources/],
    [
      "a source that anybody can change on its way",
      [{ ...teacher, file: { ...file, sources: [{ url: "http://example.com/a" }] } }],
      /Invalid URL/,
    ],
    ["a file of another name", [{ ...teacher, file: { ...file, name: "../a.gguf" } }], /must end in .gguf[^]*file.name/],
    ["a field nobody knows", [{ ...teacher, licence: "mit" }], /Unrecognized key: "licence"/],
    ["a default out of its range", [{ ...teacher, defaults: { temperature: 2.1 } }], /expected number to be <=2[^]*defaults.temperature/],
    ["a default nobody knows", [{ ...teacher, defaults: { topP: 0.9 } }], /Unrecognized key: "topP"[^]*defaults/],
    ["a default that is not there", [{ ...teacher, defaults: { top_p: null } }], /expected number, received null[^]*defaults.top_p/],
    ["a delta of another name", [teacher, { ...student, delta: "small.gguf" }], /must end in .delta.gguf[^]*delta/],
    ["a teacher that is not there", [student], /model "small": "teacher" must be the id of a downloaded model; it is "big"/],
    ["a tokenizer that is not there", [{ ...pooled, tokenizer: "abc" }], /model "large": "tokenizer" must be one of qwen2.5; it is "abc"/],
    ["a form that is none", [{ ...pooled, form: { ...form, window: 0 } }], /expected number to be >0[^]*form.window/],
    ["a teacher that only a pool has", [pooled, { ...student, teacher: "large" }], /must be the id of a downloaded model; it is "large"/],
    ["a teacher that was converted", [teacher, student, { ...student, id: "tiny", teacher: "small" }], /model "tiny".*it is "small"/],
  ])("refuses %s", (_name, models, message) => {
    expect(() => readRegistry(registry(...models))).toThrow(message);
  });

  it("refuses a file whose name is not its id", () => {
    const directory = registry(teacher);
    writeFileSync(join(directory, "other.json"), JSON.stringify(teacher));
    expect(() => readRegistry(directory)).toThrow(/other.json: "id" must be the file's name; it is "big"/);
  });
});
