/** Fields that chat completions and completions share, with the names and ranges of OpenAI's API and of vLLM's extras. */
import * as z from "zod";
import {
  allowedTokensLimit,
  badWordLengthLimit,
  badWordsLimit,
  choicesLimit,
  fallbacksLimit,
  logitBiasLimit,
  stopsLimit,
  stopLengthLimit,
  stopTokensLimit,
  topLogprobsLimit,
} from "./limits.ts";
import { anyArray, isAbsent, onWire, unsupported } from "./parse.ts";
import { responseFormat, structuredOutputs } from "./structured-output.ts";

const number = (minimum: number, maximum: number) => z.number().min(minimum).max(maximum).nullish();
const count = (minimum: number, maximum: number) => z.int().min(minimum).max(maximum).nullish();
/** Far above any context: the context check, which knows the model, names the real figures. */
const tokensLimit = 2 ** 31 - 1;
export const tokenCount = (minimum: number) => count(minimum, tokensLimit);

const stop = onWire(
  z
    .preprocess(
      (value) => (typeof value === "string" ? [value] : value),
      anyArray("must be a string or an array of strings").max(stopsLimit),
    )
    .pipe(z.array(z.string().min(1).max(stopLengthLimit)))
    .nullish(),
  z.union([z.string(), z.array(z.string().min(1).max(stopLengthLimit)).max(stopsLimit)]).nullish(),
);

/** Signed or unsigned: clients have either. */
const leastSeed = -(2n ** 63n);
const largestSeed = 2n ** 64n - 1n;

/** A number that JavaScript can't hold comes as a `bigint` (`http/read-json.ts`). */
const seed = onWire(
  z
    .unknown()
    .transform((value, context): bigint | null => {
      if (isAbsent(value)) return null;
      const integer = typeof value === "bigint" ? value : Number.isInteger(value) ? BigInt(value as number) : undefined;
      if (integer !== undefined && integer >= leastSeed && integer <= largestSeed) return integer;
      const message = `must be an integer from ${String(leastSeed)} to ${String(largestSeed)}`;
      context.addIssue({ code: "custom", message, input: value });
      return null;
    })
    .optional(),
  z.int().nullish(),
);

/** By a token's id, or by its text, which the model's tokenizer knows. */
export type LogitBias = readonly [token: number | string, bias: number];

const logitBias = onWire(
  z
    .unknown()
    .transform((value, context): LogitBias[] => {
      const pairs: LogitBias[] = [];
      const refuse = (message: string, key?: string, input: unknown = value): [] => {
        context.addIssue({ code: "custom", message, input, ...(key === undefined ? {} : { path: [key] }) });
        return [];
      };
      if (value === undefined || value === null) return [];
      if (typeof value !== "object" || Array.isArray(value)) return refuse("must be an object of tokens (ids or texts) and biases");
      for (const [key, bias] of Object.entries(value)) {
        if (/^[+-]?\d+(\.\d*)?$/.test(key) && !isId(key)) return refuse("must be a token id", key, key);
        if (typeof bias !== "number" || bias < -100 || bias > 100) return refuse("must be a number from -100 to 100", key, bias);
        if (pairs.length === logitBiasLimit) return refuse(`holds more than ${logitBiasLimit} tokens`);
        pairs.push([isId(key) ? Number(key) : key, bias]);
      }
      return pairs;
    })
    .optional(),
  z.record(z.string(), z.number().min(-100).max(100)).nullish(),
);

/** Digits are an id, as OpenAI has it; a token whose text is digits is named by its id. */
const isId = (key: string): boolean => /^(0|[1-9]\d{0,8})$/.test(key);

const metadataPairs = 16;

export const metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((pairs) => Object.keys(pairs).length <= metadataPairs, { error: `may hold ${String(metadataPairs)} pairs` })
  .nullish();

export const modelId = z.string().min(1).max(256);

export const generationFields = {
  model: modelId,
  /** An extension: models that answer where the one asked for can't, in this order; an empty list is none. */
  fallback: z.array(modelId).max(fallbacksLimit).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().nullish(),
      include_obfuscation: unsupported((value) => value === false),
    })
    .nullish(),
  n: count(1, choicesLimit),
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
  /** An extension: tells where the answer runs, and from which token on. */
  placement: z.boolean().nullish(),
  /** vLLM's: whether the answer says the ids of its tokens, and those of its prompt. */
  return_token_ids: z.boolean().nullish(),
  /** vLLM's: log-probabilities of the prompt's tokens, with so many alternatives. */
  prompt_logprobs: z.int().min(0).max(topLogprobsLimit).nullish(),
  /** An extension: a second backend is asked too where the first is slow with its first token. */
  hedge: z.boolean().nullish(),
  response_format: responseFormat,
  structured_outputs: structuredOutputs,
  allowed_token_ids: z.array(z.int().min(0)).min(1).max(allowedTokensLimit).nullish(),
  bad_words: z.array(z.string().min(1).max(badWordLengthLimit)).max(badWordsLimit).nullish(),
  stop_token_ids: z.array(z.int().min(0)).max(stopTokensLimit).nullish(),
  // What OpenAI defines and what cannot change what is generated here.
  user: z.string().nullish(),
  metadata,
  store: z.boolean().nullish(),
  service_tier: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.string().nullish(),
};

/** What both bodies have in common once parsed. */
export type GenerationFields = z.output<z.ZodObject<typeof generationFields>>;
