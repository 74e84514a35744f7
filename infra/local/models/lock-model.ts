/** `npm run lock:model`: after a delta has changed, merges it and writes what set-up will hold the merged file to. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { lockPath, writeLock } from "./converted-model.ts";
import { fetchModelFile } from "./model-file.ts";
import { localModels, readRegistry, teacherOf } from "./registry.ts";
import { cacheDirectory, inRepository } from "../paths.ts";
import { reportFailure } from "../run.ts";

try {
  const cache = cacheDirectory();
  mkdirSync(cache, { recursive: true });
  const models = readRegistry();
  for (const model of localModels(models).values()) {
    if ("file" in model) continue;
    const teacher = await fetchModelFile(teacherOf(model, models).file, cache);
    const lock = await writeLock(teacher, inRepository(model.delta), join(cache, `${model.id}.gguf`));
    console.log(`${lockPath(model.delta)}: merged file ${lock.mergedSha256}, ${(lock.mergedBytes / 2 ** 20).toFixed(1)} MiB`);
  }
} catch (error) {
  reportFailure(error);
}
