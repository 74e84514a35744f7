/** Turns a parsed body and its rendered prompts into what backends are asked: one job a choice. */
import type { GenerateRequest, SamplingParameters } from "../../contracts/engine.ts";
import { requireVocabulary } from "../http/encode-prompt.ts";
import { contextLengthExceeded, invalidRequest } from "../failures.ts";
import type { ServedModel } from "../model.ts";
import type { GenerationFields } from "../schema/generation-fields.ts";

/** A prompt as the model reads it. */
export interface RenderedPrompt {
  readonly tokens: Uint32Array;
  /** The prompt's text where the answer repeats it. */
  readonly echo: string | null;
}

/** What differs between endpoints. */
export interface JobOptions {
  /** The field that holds the prompt, for messages about its length. */
  readonly promptField: "messages" | "prompt";
  readonly prompts: readonly RenderedPrompt[];
  /** Null: as many as the context leaves. */
  readonly maxTokens: number | null;
  /** Upper bound used when the client named none. */
  readonly defaultMaxTokens: number | null;
  readonly topLogprobs: number | null;
  readonly promptLogprobs: number | null;
}

export interface Job {
  /** The choice's `index` in the answer. */
  readonly index: number;
  /** Which prompt it continues. */
  readonly promptIndex: number;
  readonly request: GenerateRequest;
  readonly stops: readonly string[];
  readonly echo: string | null;
}

export function planJobs(body: GenerationFields, options: JobOptions, model: ServedModel, contextLength: number, requestId: string): Job[] {
  const choices = body.n ?? 1;
  const seed = body.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const minTokens = body.min_tokens ?? 0;
  requireVocabulary(model, body.stop_token_ids ?? [], "stop_token_ids");
  requireVocabulary(
    model,
    (body.logit_bias ?? []).map(([id]) => id),
    "logit_bias",
  );
  return options.prompts.flatMap(({ tokens, echo }, promptIndex) => {
    const maxTokens = tokensToGenerate(tokens.length, options, contextLength);
    if (minTokens > maxTokens)
      throw invalidRequest(`'min_tokens': ${minTokens} is more than the ${maxTokens} tokens allowed.`, "min_tokens");
    return Array.from({ length: choices }, (_unused, choice) => ({
      index: promptIndex * choices + choice,
      promptIndex,
      stops: body.stop ?? [],
      echo,
      request: {
        requestId,
        prompt: tokens,
        maxTokens,
        minTokens,
        stopTokens: [...new Set([...(body.ignore_eos === true ? [] : model.stopTokens), ...(body.stop_token_ids ?? [])])],
        sampling: samplingParameters(body, seed + choice),
        topLogprobs: options.topLogprobs,
        promptLogprobs: options.promptLogprobs,
        countSpikes: body.spikes === true,
      },
    }));
  });
}

function samplingParameters(body: GenerationFields, seed: number): SamplingParameters {
  return {
    temperature: body.temperature ?? 1,
    topK: Math.max(0, body.top_k ?? 0),
    topP: body.top_p ?? 1,
    minP: body.min_p ?? 0,
    repetitionPenalty: body.repetition_penalty ?? 1,
    presencePenalty: body.presence_penalty ?? 0,
    frequencyPenalty: body.frequency_penalty ?? 0,
    logitBias: body.logit_bias ?? [],
    // Clients send any integer; engines take 32 bits, and `>>>` keeps the lowest 32 of a two's complement.
    seed: seed >>> 0,
  };
}

function tokensToGenerate(promptTokens: number, options: JobOptions, contextLength: number): number {
  const { promptField, maxTokens, defaultMaxTokens } = options;
  const left = contextLength - promptTokens;
  const limit = `This model's maximum context length is ${contextLength} tokens.`;
  if (promptTokens === 0) throw invalidRequest(`'${promptField}': the prompt must hold at least one token.`, promptField);
  if (left < 0 || (left === 0 && maxTokens !== 0)) {
    throw contextLengthExceeded(`${limit} The prompt has ${promptTokens} tokens, which leaves none to generate.`, promptField);
  }
  if (maxTokens === null) return Math.min(left, defaultMaxTokens ?? left);
  if (maxTokens > left) {
    throw contextLengthExceeded(
      `${limit} ${promptTokens + maxTokens} were asked for: ${promptTokens} in the prompt and ${maxTokens} to generate.`,
      promptField,
    );
  }
  return maxTokens;
}
