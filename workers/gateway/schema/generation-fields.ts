/** Fields that chat completions and completions share, with the names and ranges of OpenAI's API and of vLLM's extras. */
import * as z from "zod";
import { CHOICES_LIMIT, LOGIT_BIAS_LIMIT, STOPS_LIMIT, STOP_LENGTH_LIMIT, STOP_TOKENS_LIMIT } from "./limits.ts";
import { accepted, isAbsent, unsupported } from "./parse.ts";

const number = (minimum: number, maximum: number) => z.number().min(minimum).max(maximum).nullish();
const count = (minimum: number, maximum: number) => z.int().min(minimum).max(maximum).nullish();
/** Far above any context: the context check, which knows the model, names the real figures. */
const TOKENS_LIMIT = 2 ** 31 - 1;
export const tokenCount = (minimum: number) => count(minimum, TOKENS_LIMIT);

const stop = z
  .preprocess(
    (value) => (typeof value === "string" ? [value] : value),
    z.array(z.unknown(), { error: "must be a string or an array of strings" }).max(STOPS_LIMIT),
  )
  .pipe(z.array(z.string().min(1).max(STOP_LENGTH_LIMIT)))
  .nullish();

/** Signed or unsigned: clients have either. */
const LEAST_SEED = -(2n ** 63n);
const LARGEST_SEED = 2n ** 64n - 1n;

/** A number that JavaScript can't hold comes as a `bigint` (`http/read-json.ts`). */
const seed = z
  .unknown()
  .transform((value, context): bigint | null => {
    if (isAbsent(value)) return null;
    const integer = typeof value === "bigint" ? value : Number.isInteger(value) ? BigInt(value as number) : undefined;
    if (integer !== undefined && integer >= LEAST_SEED && integer <= LARGEST_SEED) return integer;
    const message = `must be an integer from ${String(LEAST_SEED)} to ${String(LARGEST_SEED)}`;
    context.addIssue({ code: "custom", message, input: value });
    return null;
  })
  .optional();

const logitBias = z
  .unknown()
  .transform((value, context): (readonly [number, number])[] => {
    const pairs: [number, number][] = [];
    const refuse = (message: string, key?: string): [] => {
      context.addIssue({ code: "custom", message, ...(key === undefined ? {} : { path: [key] }) });
      return [];
    };
    if (value === undefined || value === null) return [];
    if (typeof value !== "object" || Array.isArray(value)) return refuse("must be an object of token ids and biases");
    for (const [key, bias] of Object.entries(value)) {
      if (!/^(0|[1-9]\d{0,8})$/.test(key)) return refuse("must be a token id", key);
      if (typeof bias !== "number" || bias < -100 || bias > 100) return refuse("must be a number from -100 to 100", key);
      if (pairs.length === LOGIT_BIAS_LIMIT) return refuse(`holds more than ${LOGIT_BIAS_LIMIT} tokens`);
      pairs.push([Number(key), bias]);
    }
    return pairs;
  })
  .optional();

export const generationFields = {
  model: z.string().min(1).max(256),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().nullish(),
      include_obfuscation: unsupported((value) => value === false),
    })
    .nullish(),
  n: count(1, CHOICES_LIMIT),
  stop,
  seed,
  temperature: number(0, 2),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: count(-1, 1_000_000),
  min_p: number(0, 1),
  presence_penalty: number(-2, 2),
  frequency_penalty: number(-2, 2),
  repetition_penalty: z.number().gt(0).max(2).nullish(),
  logit_bias: logitBias,
  ignore_eos: z.boolean().nullish(),
  min_tokens: tokenCount(0),
  /** An extension: counts what the model's neurons fire, where they do. */
  spikes: z.boolean().nullish(),
  /** An extension: tells what the conversation's state holds and takes, while a prompt is read too. */
  state: z.boolean().nullish(),
  stop_token_ids: z.array(z.int().min(0)).max(STOP_TOKENS_LIMIT).nullish(),
  user: accepted,
  metadata: accepted,
  store: accepted,
  service_tier: accepted,
  safety_identifier: accepted,
  prompt_cache_key: accepted,
  prompt_cache_retention: accepted,
};

/** What both bodies have in common once parsed. */
export type GenerationFields = z.output<z.ZodObject<typeof generationFields>>;
