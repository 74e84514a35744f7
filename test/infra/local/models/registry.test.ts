import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { defaultModel, readRegistry } from "../../../../infra/local/models/registry.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const wheel = { requirement: "a==1", wheel: "a.whl", wheelSha256: "0".repeat(64), member: "a/a.gguf", sha256: "1".repeat(64) };
const teacher = { id: "big", created: 1, ownedBy: "us", license: "mit", source: { name: "Big", url: "https://example.com" }, wheel };
const student = { id: "small", created: 2, ownedBy: "us", license: "mit", teacher: "big", delta: "small.delta.gguf" };

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

  it("reads downloaded and converted models", () => {
    expect([...readRegistry(registry(teacher, student)).values()]).toEqual([teacher, student]);
  });

  it.each<[name: string, models: readonly object[], message: RegExp]>([
    ["a digest that is none", [{ ...teacher, wheel: { ...wheel, sha256: "abc" } }], /64 lower-case hexadecimal digits[^]*wheel.sha256/],
    ["a field nobody knows", [{ ...teacher, licence: "mit" }], /Unrecognized key: "licence"/],
    ["a delta of another name", [teacher, { ...student, delta: "small.gguf" }], /must end in .delta.gguf[^]*delta/],
    ["a teacher that is not there", [student], /model "small": "teacher" must be the id of a downloaded model; it is "big"/],
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
