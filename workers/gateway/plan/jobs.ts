/** Turns a parsed body and its rendered prompts into what backends are asked: one job a choice. */
import type { Job } from "../../contracts/choice.ts";
import type { Constraint } from "../../contracts/constraint.ts";
import type { TokenLimits } from "../../contracts/session.ts";
import { promptScoresLimit, type ModelDescription } from "../../contracts/engine.ts";
import { bannedSeries } from "../prompt/bad-words.ts";
import { biasedTokens } from "../prompt/logit-bias.ts";
import { requireVocabulary } from "../prompt/encode-prompt.ts";
import { invalidRequest } from "../failures.ts";
import { randomSeed, samplingParameters } from "../../models/sampling-parameters.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { tokensToGenerate } from "../../models/token-budget.ts";
import type { GenerationFields } from "../schema/generation-fields.ts";
import { generationsTokensLimit } from "../schema/limits.ts";
import { isAbsent } from "../schema/parse.ts";

/** A prompt as the model reads it. */
export interface RenderedPrompt {
  /** Null in a turn of a session, which renders it. */
  readonly tokens: Uint32Array | null;
  /** The prompt's text where the answer repeats it. */
  readonly echo: string | null;
}

/** What differs between endpoints. */
export interface JobOptions {
  /** The field that holds the prompt, for messages about its length. */
  readonly promptField: TokenLimits["promptField"];
  readonly prompts: readonly RenderedPrompt[];
  /** Null: the default, or as many as the context leaves. */
  readonly maxTokens: number | null;
  /** Upper bound used when the client named none. */
  readonly defaultMaxTokens: number;
  readonly topLogprobs: number | null;
  readonly promptLogprobs: number | null;
  /** The field that asks for the prompt's, for messages about it: `logprobs` unless it is said. */
  readonly scoresField?: ScoresField;
}

/** Both ask for log-probabilities of a prompt: the first beside `echo`. */
export type ScoresField = "logprobs" | "prompt_logprobs";

/** What an answer is held to, beside how its tokens are chosen. */
export interface AnswerRules {
  readonly constraint: Constraint | undefined;
  /** Whether functions may be called in it. */
  readonly calls: boolean;
}

/** For the model's backend as it describes itself. */
export function planJobs(
  body: GenerationFields,
  options: JobOptions,
  model: ServedModel,
  { contextLength, abilities }: Pick<ModelDescription, "contextLength" | "abilities">,
  requestId: string,
  { constraint, calls }: AnswerRules = { constraint: undefined, calls: false },
): Job[] {
  const choices = body.n ?? 1;
  requireTokenBudget(options, choices);
  const seed = body.seed ?? randomSeed(abilities.includes("long_seeds"));
  const limits = tokenLimits(body, options, contextLength);
  requireVocabulary(model, body.stop_token_ids ?? [], "stop_token_ids");
  requireVocabulary(model, body.allowed_token_ids ?? [], "allowed_token_ids");
  const banned = bannedSeries(body.bad_words ?? [], model.tokenizer);
  const logitBias = biasedTokens(body.logit_bias ?? [], model.tokenizer);
  return options.prompts.flatMap(({ tokens, echo }, promptIndex) => {
    if (tokens !== null) requireScorable(tokens.length, options);
    const maxTokens = tokens === null ? 0 : tokensToGenerate(tokens.length, limits);
    return Array.from({ length: choices }, (_unused, choice) => ({
      index: promptIndex * choices + choice,
      promptIndex,
      stops: body.stop ?? [],
      echo,
      ...(body.placement === true ? { reportPlacement: true } : {}),
      ...(body.return_token_ids === true ? { tellTokens: true } : {}),
      ...(calls ? { calls: { id: newCallId() } } : {}),
      request: {
        requestId,
        prompt: tokens ?? new Uint32Array(),
        maxTokens,
        minTokens: limits.minTokens,
        stopTokens: [...new Set([...(body.ignore_eos === true ? [] : model.stopTokens), ...(body.stop_token_ids ?? [])])],
        sampling: samplingParameters(body, model.card, logitBias, seed + BigInt(choice)),
        ...(constraint === undefined ? {} : { constraint }),
        ...(isAbsent(body.allowed_token_ids) ? {} : { allowedTokens: body.allowed_token_ids }),
        ...(banned.length === 0 ? {} : { bannedSeries: banned }),
        topLogprobs: options.topLogprobs,
        promptLogprobs: options.promptLogprobs,
        countSpikes: body.spikes === true,
        reportState: body.state === true,
      },
    }));
  });
}

/** What the answer was asked to be, for whoever knows how long its prompt is. */
export function tokenLimits(
  { min_tokens }: GenerationFields,
  { promptField, maxTokens, defaultMaxTokens }: Pick<JobOptions, "promptField" | "maxTokens" | "defaultMaxTokens">,
  contextLength: number,
): TokenLimits {
  return { promptField, maxTokens, defaultMaxTokens, minTokens: min_tokens ?? 0, contextLength };
}

/** Nobody else's calls have it: conversations are made of many answers. */
const newCallId = () => `call_${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`;

function requireTokenBudget({ prompts, promptField }: JobOptions, choices: number): void {
  const total = choices * prompts.reduce((sum, { tokens }) => sum + (tokens?.length ?? 0), 0);
  if (prompts.length * choices === 1 || total <= generationsTokensLimit) return;
  throw invalidRequest(
    `'${promptField}': the prompts of all choices together may have ${generationsTokensLimit} tokens; they have ${total}.`,
    promptField,
  );
}

function requireScorable(promptTokens: number, { promptLogprobs, scoresField = "logprobs" }: JobOptions): void {
  if (promptLogprobs === null || promptTokens * (promptLogprobs + 1) <= promptScoresLimit) return;
  const most = Math.floor(promptScoresLimit / (promptLogprobs + 1));
  throw invalidRequest(
    `'${scoresField}': with ${promptLogprobs} alternatives a prompt of ${most} tokens can be scored; this one has ${promptTokens}.`,
    scoresField,
  );
}
