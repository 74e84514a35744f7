/** What a node says of a replica: every field bounded, none unknown. */
import * as z from "zod";
import { abilities } from "../../contracts/abilities.ts";
import type { ModelDescription } from "../../contracts/engine.ts";
import type { ServiceError } from "../../contracts/errors.ts";
import { spikingModes } from "../../contracts/spikes.ts";
import { bodyInvalid, fieldUnknown } from "./failures.ts";

const mostModels = 8;
const mostVersions = 16;
const shownCharacters = 64;

const whole = (least: number, most: number) => z.int().min(least).max(most);
const text = (pattern: RegExp, rule: string) => z.string().regex(pattern, { message: `must be ${rule}` });
const sha256 = text(/^[0-9a-f]{64}$/, "64 hexadecimal digits in small letters");
const word = text(/^[\x21-\x7e]{1,64}$/, "1 to 64 printable ASCII characters without white space");

export const replicaName = text(
  /^[A-Za-z0-9][\w.-]{0,63}$/,
  "1 to 64 letters, digits or the characters . _ -, the first one a letter or digit",
).refine((name) => name !== "engine", { message: "must not be 'engine', which is the WASM engine's" });
export const placeSchema = text(/^[\w.-]{1,64}$/, "1 to 64 letters, digits or the characters . _ -").nullable();
export const weightSchema = z.number().min(0).max(100);

export const modelSchema = z
  .strictObject({
    id: text(/^[\w.:/-]{1,200}$/, "1 to 200 letters, digits or the characters . _ : / -"),
    digest: sha256,
    tokenizer_digest: sha256,
    architecture: word,
    parameters: whole(0, 1e15),
    vocabulary_size: whole(1, 2 ** 24),
    context_length: whole(1, 2 ** 31),
    abilities: z.array(z.enum(abilities)).max(abilities.length),
    kernel: word,
    state: z
      .strictObject({
        bytes: whole(0, 2 ** 50),
        constant: z.boolean(),
        keys_and_values: z.enum(["int8", "f32"]),
        full_attention_bytes_per_token: whole(0, 2 ** 40),
      })
      .nullable(),
    spikes: z.enum(spikingModes).nullable(),
  })
  .transform(({ state, spikes, ...model }): ModelDescription => ({
    ...{ id: model.id, digest: model.digest, tokenizerDigest: model.tokenizer_digest, architecture: model.architecture },
    ...{ parameters: model.parameters, vocabularySize: model.vocabulary_size, contextLength: model.context_length },
    ...{ abilities: [...new Set(model.abilities)], kernel: model.kernel },
    ...(spikes === null ? {} : { spikes }),
    ...(state === null
      ? {}
      : {
          state: {
            bytes: state.bytes,
            constant: state.constant,
            keysAndValues: state.keys_and_values,
            fullAttentionBytesPerToken: state.full_attention_bytes_per_token,
          },
        }),
  }));

export const modelsSchema = z
  .array(modelSchema)
  .min(1)
  .max(mostModels)
  .refine((models) => new Set(models.map(({ id }) => id)).size === models.length, { message: "must have each id once" });

const messageSchema = z.strictObject({
  name: replicaName,
  address: z.string(),
  kind: z.literal("vllm"),
  status: z.enum(["ready", "draining", "gone"]),
  /** Rises with every message of a replica. */
  sequence: whole(0, Number.MAX_SAFE_INTEGER),
  /** Unix seconds: a later one is another run of the replica, whose sequence begins anew. */
  started: whole(0, 1e12),
  place: placeSchema,
  weight: weightSchema,
  models: modelsSchema,
  load: z.strictObject({
    running: whole(0, 1e6),
    waiting: whole(0, 1e6),
    most_requests: whole(1, 1e6).nullable(),
    most_running: whole(1, 1e6).nullable().default(null),
    free_share: z.number().min(0).max(1).nullable(),
    loaded: z.boolean(),
  }),
  /** For people: names of programs and their versions. */
  versions: z
    .record(text(/^[\w.-]{1,32}$/, "a program's name"), text(/^[\x20-\x7e]{1,64}$/, "1 to 64 printable ASCII characters"))
    .refine((versions) => Object.keys(versions).length <= mostVersions, { message: `must be at most ${String(mostVersions)}` }),
});

export type ReplicaMessage = z.infer<typeof messageSchema>;

/** @throws ServiceError that names the field, the rule and, where it is short and can be no secret, the value. */
export function replicaMessage(body: Uint8Array): ReplicaMessage {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body));
  } catch {
    throw bodyInvalid("The request body is not valid JSON in UTF-8.");
  }
  const result = messageSchema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  throw asFailure(result.error.issues);
}

/** The first issue; a field that is unknown comes before others, since its name may be a misspelling of one that is then missing. */
export function asFailure(issues: readonly z.core.$ZodIssue[], prefix = ""): ServiceError {
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  if (issue === undefined) return bodyInvalid("The request body is invalid.");
  if (issue.code === "unrecognized_keys") return fieldUnknown(fieldName([...issue.path, issue.keys[0] ?? ""], prefix));
  const field = fieldName(issue.path, prefix);
  return bodyInvalid(
    `${field === "" ? "The request body" : `'${field}'`}: ${issue.message}${shown(field, issue.input)}.`,
    field || undefined,
  );
}

/** `models[0].id`. */
function fieldName(path: readonly PropertyKey[], prefix: string): string {
  let name = prefix;
  for (const step of path) name += typeof step === "number" ? `[${String(step)}]` : name === "" ? String(step) : `.${String(step)}`;
  return name.slice(0, 2 * shownCharacters).toWellFormed();
}

function shown(field: string, value: unknown): string {
  if (/(?:^|\.)(?:address|key)$/.test(field)) return "";
  if (typeof value === "number" || typeof value === "boolean") return ` (got ${String(value)})`;
  return typeof value === "string" && value.length <= shownCharacters ? ` (got ${JSON.stringify(value)})` : "";
}
