/** How tokens are chosen, in the names that vLLM has for it, and other servers with it. Nothing is left to a server's defaults. */
import { structuredOutputs } from "./structured-outputs.ts";
import type { GenerateRequest, ModelDescription } from "../../contracts/engine.ts";

type Asked = Pick<GenerateRequest, "allowedTokens" | "bannedSeries" | "constraint" | "continued" | "minTokens" | "sampling" | "stopTokens">;

/** Fields of one JSON object, the seed left out: {@link withSeed} writes it. */
export function samplingFields(
  { sampling, stopTokens, minTokens, allowedTokens, bannedSeries = [], constraint, continued = 0 }: Asked,
  askedTokens: number,
  { vocabularySize, abilities }: Pick<ModelDescription, "vocabularySize" | "abilities">,
): Record<string, unknown> {
  // A server that does not know of earlier attempts is only asked where nothing depends on them but how many tokens are still due.
  const counted = abilities.includes("continued") ? continued : 0;
  return {
    max_tokens: askedTokens,
    min_tokens: Math.min(Math.max(minTokens - continued + counted, 0), counted + askedTokens),
    ...(counted === 0 ? {} : { continued: counted }),
    temperature: sampling.temperature,
    top_k: Math.min(sampling.topK, vocabularySize),
    top_p: sampling.topP,
    min_p: sampling.minP,
    repetition_penalty: sampling.repetitionPenalty,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    ...(sampling.logitBias.length === 0 ? {} : { logit_bias: biases(sampling.logitBias) }),
    ...(stopTokens.length === 0 ? {} : { stop_token_ids: [...new Set(stopTokens)] }),
    ...(allowedTokens === undefined ? {} : { allowed_token_ids: [...new Set(allowedTokens)] }),
    // vLLM's own `bad_words` are texts, of which each server makes tokens of its own.
    ...(bannedSeries.length === 0 ? {} : { banned_token_series: bannedSeries }),
    ...(constraint === undefined ? {} : { structured_outputs: structuredOutputs(constraint) }),
    // The request's stop tokens are all that end an answer: the model's own end is among them where it is meant.
    ignore_eos: true,
  };
}

/** A JSON object with the seed as its last field, where one is drawn by: a signed number of 64 bits, of which JSON's numbers are too short. */
export function withSeed(json: string, { temperature, seed }: GenerateRequest["sampling"]): string {
  return temperature === 0 ? json : `${json.slice(0, -1)},"seed":${String(BigInt.asIntN(64, BigInt(seed)))}}`;
}

/** A token that is named twice gets both biases. */
function biases(pairs: GenerateRequest["sampling"]["logitBias"]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [id, bias] of pairs) sums[id] = (sums[id] ?? 0) + bias;
  return sums;
}
