/**
 * `npm run lock:model [-- ID …]`: after a model's file has changed, writes what set-up will hold it to and what is said of it where it is not at hand;
 * of a converted model merges its delta first. Of all that this machine can run unless some are named.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { lockPath, writeLock } from "./converted-model.ts";
import { factsOfFile, writeKnownFacts } from "./known-facts.ts";
import { fetchModelFile } from "./model-file.ts";
import { localModels, readRegistry, teacherOf, type LocalModel } from "./registry.ts";
import { servedFile } from "./served-file.ts";
import { cacheDirectory, inRepository } from "../paths.ts";
import { reportFailure } from "../run.ts";

try {
  const cache = cacheDirectory();
  mkdirSync(cache, { recursive: true });
  const models = readRegistry();
  const local = [...localModels(models).values()];
  const named = process.argv.slice(2);
  const unknown = named.find((id) => local.every((model) => model.id !== id));
  if (unknown !== undefined)
    throw new Error(
      `lock:model takes ids of models that this machine can run, ${local.map(({ id }) => id).join(", ")}; it was given "${unknown}".`,
    );
  for (const model of local.filter(({ id }) => named.length === 0 || named.includes(id))) {
    const facts = await factsOfFile(await servedFile(await fileOf(model), cache));
    writeKnownFacts(model.id, facts);
    console.log(`infra/models/facts/${model.id}.json: ${facts.sha256}`);
  }

  async function fileOf(model: LocalModel): Promise<string> {
    if ("file" in model) return await fetchModelFile(model.file, cache);
    const teacher = await fetchModelFile(teacherOf(model, models).file, cache);
    const path = join(cache, `${model.id}.gguf`);
    const lock = await writeLock(teacher, inRepository(model.delta), path);
    console.log(`${lockPath(model.delta)}: merged file ${lock.mergedSha256}, ${(lock.mergedBytes / 2 ** 20).toFixed(1)} MiB`);
    return path;
  }
} catch (error) {
  reportFailure(error);
}
