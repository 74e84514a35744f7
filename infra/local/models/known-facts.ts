/**
 * What the file of a model of `infra/models` says, so that the model is listed where the file is not: `infra/models/facts/ID.json` for each that this
 * machine could run. `npm run lock:model` writes them from the files, and set-up holds the file to them whenever it prepares one.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import { readGgufFacts, readGgufHeader } from "../gguf/metadata.ts";
import { inRepository } from "../paths.ts";
import { digestFile } from "./digest.ts";
import { modelForm, sha256 } from "./registry.ts";

const knownFacts = z.strictObject({
  /** Of the file as the engine reads it, which is its digest. */
  sha256,
  /** Of the {@link TokenizerFile} that set-up writes. */
  tokenizerSha256: sha256,
  /** Elements of all its tensors. */
  parameters: z.int().positive(),
  contextLength: z.int().positive(),
  form: modelForm,
});
export type KnownFacts = z.infer<typeof knownFacts>;

const factsDirectory = inRepository("infra/models/facts");
const written = (id: string) => `\`npm run lock:model -- ${id}\` writes it from the model's file`;

export function readKnownFacts(id: string, directory = factsDirectory): KnownFacts {
  const path = join(directory, `${id}.json`);
  if (!existsSync(path)) throw new Error(`${path} is missing; ${written(id)}.`);
  const result = knownFacts.safeParse(JSON.parse(readFileSync(path, "utf8")));
  if (!result.success) throw new Error(`${path}: ${z.prettifyError(result.error)}`);
  return result.data;
}

export function writeKnownFacts(id: string, facts: KnownFacts, directory = factsDirectory): void {
  const path = join(directory, `${id}.json`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(facts, null, 2)}\n`);
}

/** Of the file at hand. */
export async function factsOfFile(path: string): Promise<KnownFacts> {
  const { contextLength, form, tokenizer } = await readGgufFacts(path);
  const { tensors } = await readGgufHeader(path);
  const parameters = tensors.reduce((sum, { dimensions }) => sum + dimensions.reduce((product, size) => product * size, 1), 0);
  const tokenizerSha256 = createHash("sha256").update(JSON.stringify(tokenizer)).digest("hex");
  return { sha256: await digestFile(path), tokenizerSha256, parameters, contextLength, form };
}

/** @throws Error that names the first fact that is another. */
export function mustBeKnown(id: string, known: KnownFacts, found: KnownFacts): void {
  for (const name of Object.keys(knownFacts.shape) as (keyof KnownFacts)[]) {
    const [wanted, is] = [JSON.stringify(known[name]), JSON.stringify(found[name])];
    if (wanted !== is)
      throw new Error(`infra/models/facts/${id}.json: "${name}" must be as in the file, ${is}; it is ${wanted}; ${written(id)}.`);
  }
}
