/** What is said of models whose files are not at hand, against the files. */
import { expect, it, test } from "vitest";
import { readLock } from "../../../../infra/local/models/converted-model.ts";
import { factsOfFile, mustBeKnown, readKnownFacts } from "../../../../infra/local/models/known-facts.ts";
import { defaultModel, localModels, readRegistry } from "../../../../infra/local/models/registry.ts";
import { locateModel } from "../../../../infra/local/models/source.ts";
import { inRepository } from "../../../../infra/local/paths.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

it("is what the file of the model that is served says", async () => {
  const { path, known } = await locateModel({});
  expect(await factsOfFile(path)).toEqual(known);
  expect(known).toEqual(readKnownFacts(defaultModel));
});

it.each([...localModels(readRegistry()).values()])("is of the very file that the registry means: $id", (model) => {
  const { sha256 } = readKnownFacts(model.id);
  if ("teacher" in model) expect(sha256).toBe(readLock(inRepository(model.delta)).mergedSha256);
  // Some types of tensors are rewritten before the engine reads them, which makes another file.
  else if (!model.file.name.endsWith("q4_k_m.gguf")) expect(sha256).toBe(model.file.sha256);
});

test("a fact that is not the file's is named with both, and how it is put right", () => {
  const known = readKnownFacts(defaultModel);
  expect(() => {
    mustBeKnown(defaultModel, known, { ...known, contextLength: 7 });
  }).toThrow(
    /facts\/spikingbrain-135m.json: "contextLength" must be as in the file, 7; it is 8192; `npm run lock:model -- spikingbrain-135m`/,
  );
  expect(() => readKnownFacts("none", temporaryDirectory())).toThrow(/none.json is missing; `npm run lock:model -- none` writes it/);
});
