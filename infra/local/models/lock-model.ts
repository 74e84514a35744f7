/** `npm run lock:model [-- ID …]`: after a delta has changed, merges it and writes what set-up will hold the merged file to; of all converted models unless some are named. */
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
  const converted = [...localModels(models).values()].filter((model) => "teacher" in model);
  const named = process.argv.slice(2);
  const unknown = named.find((id) => converted.every((model) => model.id !== id));
  if (unknown !== undefined)
    throw new Error(`lock:model takes ids of converted models, ${converted.map(({ id }) => id).join(", ")}; it was given "${unknown}".`);
  for (const model of converted.filter(({ id }) => named.length === 0 || named.includes(id))) {
    const teacher = await fetchModelFile(teacherOf(model, models).file, cache);
    const lock = await writeLock(teacher, inRepository(model.delta), join(cache, `${model.id}.gguf`));
    console.log(`${lockPath(model.delta)}: merged file ${lock.mergedSha256}, ${(lock.mergedBytes / 2 ** 20).toFixed(1)} MiB`);
  }
} catch (error) {
  reportFailure(error);
}
