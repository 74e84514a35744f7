/** A model is described without its weights: by what set-up wrote, or what was kept once they had been loaded. */
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import type { ModelDescription } from "../../../workers/contracts/engine.ts";
import { dependsOn } from "../../../workers/engine/description-file.ts";
import { keepDescription, keptDescription, writtenDescription } from "../../../workers/engine/kept-description.ts";
import { engineSettings } from "../../../workers/engine/variables.ts";
import { readManifest } from "../../../workers/engine/weights.ts";
import { bindings } from "./bindings.ts";

const plain = { architecture: "kept", parameters: 1, vocabularySize: 1, contextLength: 1, abilities: [], kernel: "kept" } as const;

test("what is kept of this very model is told with nothing loaded, else what set-up wrote, which is what loading tells", async () => {
  const manifest = await readManifest(bindings.MODEL_FILES);
  const of = dependsOn(manifest, engineSettings(bindings));
  const description: ModelDescription = { id: manifest.id, digest: manifest.sha256, tokenizerDigest: manifest.tokenizerSha256, ...plain };
  const object = bindings.ENGINE_OBJECT.getByName("kept");
  const keep = async (kept: string) => {
    await runInDurableObject(object, (_object, { storage }) => keepDescription(storage, { of: kept, description }));
  };
  await keep(of);
  expect(await object.models()).toEqual({ ok: true, value: [description] });

  // A deployment with another limit, say: neither what was kept is of it, nor what was written.
  const other = dependsOn(manifest, { ...engineSettings(bindings), requestTokens: 7 });
  expect(other).not.toBe(of);
  expect(await writtenDescription(bindings.MODEL_FILES, other)).toBeUndefined();
  await keep(other);
  const written = await object.models();
  expect(written).toMatchObject({ ok: true, value: [{ id: manifest.id, kernel: "relaxed" }] });
  expect((await object.load()).loaded).toBe(false);
  expect(await object.ready()).toEqual({ ok: true, value: null });
  expect((await object.load()).loaded).toBe(true);
  expect(await object.models()).toEqual(written);

  // What loading tells is kept in the place of what it contradicts.
  await keep(of);
  expect(await object.models()).toEqual(written);
  const kept = await runInDurableObject(object, (_object, { storage }) => keptDescription(storage, of));
  // Some abilities need more than the engine, and are told where that is there.
  const [told] = written.ok ? written.value : [];
  expect({ ...told, abilities: kept?.abilities }).toEqual(kept);
});
