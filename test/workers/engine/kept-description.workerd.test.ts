/** A model is described without its weights, once they have been loaded anywhere. */
import { runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import type { ModelDescription } from "../../../workers/contracts/engine.ts";
import { dependsOn, keepDescription, keptDescription } from "../../../workers/engine/kept-description.ts";
import { engineSettings } from "../../../workers/engine/settings.ts";
import { readManifest } from "../../../workers/engine/weights.ts";
import { bindings } from "./bindings.ts";

const plain = { architecture: "kept", parameters: 1, vocabularySize: 1, contextLength: 1, abilities: [], kernel: "kept" } as const;

test("what is kept of this very model is told with nothing loaded; what was kept of another is made anew by loading, and kept", async () => {
  const manifest = await readManifest(bindings.MODEL_FILES);
  const of = dependsOn(manifest, engineSettings(bindings));
  const description: ModelDescription = { id: manifest.id, digest: manifest.sha256, tokenizerDigest: manifest.tokenizerSha256, ...plain };
  const object = bindings.ENGINE_OBJECT.getByName("kept");
  await runInDurableObject(object, (_object, { storage }) => keepDescription(storage, { of, description }));
  expect(await object.models()).toEqual({ ok: true, value: [description] });
  expect((await object.load()).loaded).toBe(false);

  // A deployment with another limit, say: nothing that was kept is of it.
  const other = dependsOn(manifest, { ...engineSettings(bindings), requestTokens: 7 });
  expect(other).not.toBe(of);
  await runInDurableObject(object, (_object, { storage }) => keepDescription(storage, { of: other, description }));
  const models = await object.models();
  expect(models).toMatchObject({ ok: true, value: [{ id: manifest.id, kernel: "relaxed" }] });
  expect((await object.load()).loaded).toBe(true);
  const kept = await runInDurableObject(object, (_object, { storage }) => keptDescription(storage, of));
  // Some abilities need more than the engine, and are told where that is there.
  const [told] = models.ok ? models.value : [];
  expect({ ...told, abilities: kept?.abilities }).toEqual(kept);
});
