/**
 * `/v1/completions` with token ids, as plain vLLM has it and other servers that took its fields over. Ids come back by `return_token_ids`, and those
 * of alternatives by `return_tokens_as_token_ids`; a server that sends text alone is refused, because its ids cannot be told from that.
 */
import { z } from "zod";
import type { GenerateRequest, ModelDescription } from "../../contracts/engine.ts";
import type { AnswerPart } from "./answer.ts";
import { endedEarly, malformed } from "./failures.ts";
import { samplingFields, withSeed } from "./sampling.ts";
import type { Dialect } from "./http-answer.ts";
import { hasError, promptScores, promptScoresOf, usageOf, usageShape } from "./vllm-dialect.ts";

const scores = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
});
const choice = z.object({
  text: z.string().nullish(),
  token_ids: z.array(z.number()).nullish(),
  finish_reason: z.string().nullish(),
  stop_reason: z.union([z.number(), z.string()]).nullish(),
  logprobs: scores.nullish(),
  prompt_logprobs: promptScores.nullish(),
});
const chunk = z.object({ model: z.string().nullish(), choices: z.array(choice).max(1), usage: usageShape.nullish() });
type Chunk = z.infer<typeof chunk>;

export function completionBody(
  request: GenerateRequest,
  model: Pick<ModelDescription, "id" | "vocabularySize" | "abilities">,
  askedTokens: number,
): string {
  const { prompt, topLogprobs, promptLogprobs, sampling } = request;
  const { id, vocabularySize } = model;
  const isStream = promptLogprobs === null;
  const fields = JSON.stringify({
    model: id,
    stream: isStream,
    ...(isStream ? { stream_options: { include_usage: true } } : {}),
    return_token_ids: true,
    ...samplingFields(request, askedTokens, model),
    ...(topLogprobs === null ? {} : { logprobs: Math.min(topLogprobs, vocabularySize), return_tokens_as_token_ids: true }),
    ...(promptLogprobs === null ? {} : { prompt_logprobs: Math.min(promptLogprobs, vocabularySize) }),
  });
  return withSeed(`${fields.slice(0, -1)},"prompt":[${prompt.join(",")}]}`, sampling);
}

/** `model` is the id that answers must name. */
export function openaiDialect(model: string): Dialect {
  const read = (value: unknown): Chunk => {
    if (hasError(value)) throw endedEarly("it says that it failed");
    const found = chunk.safeParse(value);
    if (!found.success) throw malformed("an event is not one of an answer");
    if ((found.data.model ?? model) !== model) throw malformed("it is of another model");
    return found.data;
  };
  return {
    part: (event) => partOf(read(event)),
    whole(answer, prompt) {
      const found = read(answer);
      return { part: partOf(found), scores: promptScoresOf(found.choices[0]?.prompt_logprobs ?? [], prompt) };
    },
  };
}

function partOf({ choices: [one], usage }: Chunk): AnswerPart {
  const ids = one?.token_ids;
  if (one !== undefined && (ids === undefined || ids === null) && ((one.text ?? "") !== "" || one.logprobs?.tokens.length))
    throw malformed("the server sends text without token ids; one that has 'return_token_ids' can be used");
  return {
    ids: ids ?? [],
    scores: one?.logprobs === undefined || one.logprobs === null ? null : scoresOf(one.logprobs),
    finish: one?.finish_reason ?? null,
    stopToken: typeof one?.stop_reason === "number" ? one.stop_reason : null,
    usage: usageOf(usage),
  };
}

function scoresOf({ tokens, token_logprobs: values, top_logprobs: tops }: z.infer<typeof scores>): AnswerPart["scores"] {
  return tokens.map((token, at) => ({
    id: idOf(token),
    logprob: values[at] ?? NaN,
    top: Object.entries(tops?.[at] ?? {}).map(([alternative, logprob]) => [idOf(alternative), logprob] as const),
  }));
}

/** `token_id:12`. */
function idOf(token: string): number {
  const digits = /^token_id:(\d{1,10})$/.exec(token)?.[1];
  if (digits === undefined) throw malformed("the server names tokens by their text; one that has 'return_tokens_as_token_ids' can be used");
  return Number(digits);
}
