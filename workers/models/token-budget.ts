/** How many tokens an answer may have: the rules, for prompts that the gateway renders and for turns that sessions render. */
import { ServiceError } from "../contracts/errors.ts";
import type { TokenLimits } from "../contracts/session.ts";
import { invalidRequest } from "../tokenizer/failures.ts";

/** Longest answer where nobody names a length and the model's context would leave more: a small model may never stop by itself. */
export const defaultCompletionTokens = 2048;

/** As many as were asked for, else the default as far as the context leaves it. @throws ServiceError where that does not fit. */
export function tokensToGenerate(promptTokens: number, limits: TokenLimits): number {
  const { minTokens } = limits;
  const maxTokens = mostTokens(promptTokens, limits);
  if (minTokens <= maxTokens) return maxTokens;
  throw invalidRequest(`'min_tokens': ${String(minTokens)} is more than the ${String(maxTokens)} tokens allowed.`, "min_tokens");
}

function mostTokens(promptTokens: number, { promptField, maxTokens, defaultMaxTokens, contextLength }: TokenLimits): number {
  const left = contextLength - promptTokens;
  const [prompt, limit] = [String(promptTokens), `A request may have ${String(contextLength)} tokens, prompt and answer together.`];
  if (promptTokens === 0) throw invalidRequest(`'${promptField}': the prompt must hold at least one token.`, promptField);
  if (left < 0 || (left === 0 && maxTokens !== 0))
    throw contextLengthExceeded(`${limit} The prompt has ${prompt} tokens, which leaves none to generate.`, promptField);
  if (maxTokens === null) return Math.min(left, defaultMaxTokens);
  if (maxTokens <= left) return maxTokens;
  throw contextLengthExceeded(
    `${limit} ${String(promptTokens + maxTokens)} were asked for: ${prompt} in the prompt and ${String(maxTokens)} to generate.`,
    promptField,
  );
}

function contextLengthExceeded(message: string, param: string): ServiceError {
  return new ServiceError({ code: "context_length_exceeded", status: 400, message, param, retryable: false });
}
