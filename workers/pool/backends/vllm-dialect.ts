/** vLLM's `/inference/v1/generate`, as version 0.32 has it. */
import { z } from "zod";
import type { GenerateRequest, ModelDescription, TokenLogprob } from "../../contracts/engine.ts";
import { endedEarly, malformed } from "./failures.ts";
import { samplingFields, withSeed } from "./sampling.ts";
import type { AnswerPart } from "./answer.ts";
import type { Dialect } from "./http-answer.ts";

const score = z.object({ token_id: z.number(), logprob: z.number() });
const usage = z.object({ prompt_tokens: z.number(), prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish() });
const choice = z.object({
  token_ids: z.array(z.number()).nullish(),
  finish_reason: z.string().nullish(),
  stop_reason: z.union([z.number(), z.string()]).nullish(),
  logprobs: z.object({ content: z.array(score.extend({ top_logprobs: z.array(score) })).nullish() }).nullish(),
});
const chunk = z.object({ choices: z.array(choice).max(1), usage: usage.nullish() });
const promptScores = z.array(z.record(z.string(), z.object({ logprob: z.number(), rank: z.number().nullish() })).nullable());
const whole = chunk.extend({ prompt_logprobs: promptScores.nullish() });

export interface GenerateOrder {
  readonly model: Pick<ModelDescription, "id" | "vocabularySize" | "abilities">;
  readonly askedTokens: number;
  /** Whose caches and states are used (`tenant.ts`). */
  readonly tenant: string;
  /** Handles of the state that it starts from, and of where its own goes. */
  readonly from?: string;
  readonly to?: string;
}

/** The body; `prompt` is the whole text. */
export function generateBody(
  request: GenerateRequest,
  prompt: Uint32Array,
  { model, askedTokens, tenant, from, to }: GenerateOrder,
): string {
  const { topLogprobs, scoredTokens, promptLogprobs, sampling } = request;
  const { vocabularySize } = model;
  const isStream = promptLogprobs === null;
  const head = JSON.stringify({
    model: model.id,
    stream: isStream,
    ...(isStream ? { stream_options: { include_usage: true } } : {}),
    cache_salt: tenant,
    ...(from === undefined && to === undefined ? {} : { kv_transfer_params: { spikingbrain: { tenant, import: from, export: to } } }),
  });
  const parameters = JSON.stringify({
    ...samplingFields(request, askedTokens, model),
    // vLLM puts the sampled token first and cuts off behind as many as asked for: one more leaves room for all alternatives.
    ...(topLogprobs === null ? {} : { logprobs: topLogprobs === 0 ? 0 : Math.min(topLogprobs + 1, vocabularySize) }),
    ...(scoredTokens === undefined ? {} : { logprobs: scoredTokens.length + 1, logprob_token_ids: scoredTokens }),
    ...(promptLogprobs === null ? {} : { prompt_logprobs: Math.min(promptLogprobs, vocabularySize) }),
    detokenize: false,
  });
  return `${head.slice(0, -1)},"token_ids":[${prompt.join(",")}],"sampling_params":${withSeed(parameters, sampling)}}`;
}

export const vllmDialect: Dialect = {
  part(event) {
    if (hasError(event)) throw endedEarly("it says that it failed");
    const read = chunk.safeParse(event);
    if (!read.success) throw malformed("an event is not one of an answer");
    return partOf(read.data);
  },
  whole(answer, prompt) {
    const read = whole.safeParse(answer);
    if (!read.success) throw malformed("it is not one of vLLM's");
    return { part: partOf(read.data), scores: promptScoresOf(read.data.prompt_logprobs ?? [], prompt) };
  },
};

/** Of each token of a prompt what vLLM says: a score by each id, with its rank. */
export function promptScoresOf(scores: z.infer<typeof promptScores>, prompt: Uint32Array): (TokenLogprob | null)[] {
  return scores.map((byId, at) => {
    const id = prompt[at] ?? -1;
    const own = byId?.[String(id)];
    if (byId === null || own === undefined) return null;
    const top = Object.entries(byId).map(([key, { logprob }]) => [Number(key), logprob] as const);
    return { id, logprob: own.logprob, top };
  });
}

export { promptScores, usage as usageShape };

export function hasError(event: unknown): boolean {
  return typeof event === "object" && event !== null && "error" in event;
}

export function usageOf(told: z.infer<typeof usage> | null | undefined): AnswerPart["usage"] {
  if (told === null || told === undefined) return null;
  return { promptTokens: told.prompt_tokens, cachedTokens: told.prompt_tokens_details?.cached_tokens ?? 0 };
}

function partOf({ choices: [one], usage: told }: z.infer<typeof chunk>): AnswerPart {
  const content = one?.logprobs?.content;
  return {
    ids: one?.token_ids ?? [],
    scores:
      content?.map(({ token_id: id, logprob, top_logprobs: top }) => ({
        id,
        logprob,
        top: top.map((alternative) => [alternative.token_id, alternative.logprob] as const),
      })) ?? null,
    finish: one?.finish_reason ?? null,
    stopToken: typeof one?.stop_reason === "number" ? one.stop_reason : null,
    usage: usageOf(told),
  };
}
