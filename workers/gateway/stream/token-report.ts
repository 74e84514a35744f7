/** What vLLM's fields ask to be told of tokens: their ids, and the log-probabilities of a prompt's. */
import type { ScoredToken } from "../../contracts/choice.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { tokenLabel } from "./token-label.ts";

/** Where vLLM's `prompt_logprobs` asked for those of the prompt. */
export interface PromptLogprobs {
  readonly alternatives: number;
  /** Whether `echo` asks for them too, among those of the text. */
  readonly isEchoed: boolean;
}

export interface TokenReportOptions {
  readonly tokenizer: Tokenizer;
  readonly tokenIds?: boolean;
  readonly promptLogprobs?: PromptLogprobs;
}

export class TokenReport {
  readonly #options: TokenReportOptions;

  constructor(options: TokenReportOptions) {
    this.#options = options;
  }

  /** Of an answer, whole or in parts. */
  ids(tokens: readonly ScoredToken[]): { readonly token_ids?: readonly number[] } {
    return this.#options.tokenIds === true ? { token_ids: tokens.map(({ id }) => id) } : {};
  }

  prompt(ids: readonly number[] | undefined): { readonly prompt_token_ids?: readonly number[] } {
    return ids === undefined ? {} : { prompt_token_ids: ids };
  }

  /** Those of the prompt that come among those of the text, because `echo` asked for them. */
  echoed(scored: readonly ScoredToken[] | undefined): readonly ScoredToken[] {
    return this.#options.promptLogprobs?.isEchoed === false ? [] : (scored ?? []);
  }

  /** For each token of the prompt, by id, itself and the likeliest in its place; null for the first, which nothing predicts. */
  scores(scored: readonly ScoredToken[] | undefined): { readonly prompt_logprobs?: readonly object[] } {
    const { promptLogprobs, tokenizer } = this.#options;
    if (promptLogprobs === undefined) return {};
    const told = (scored ?? []).map(({ id, logprob, top }) => {
      if (logprob === null) return null;
      const ranked = (top ?? []).map(([other, value], at) => [other, { logprob: value, rank: at + 1 }] as const);
      const own = ranked.find(([other]) => other === id);
      const listed = [own ?? ([id, { logprob, rank: null }] as const), ...ranked.slice(0, promptLogprobs.alternatives)];
      return Object.fromEntries(listed.map(([token, said]) => [token, { ...said, decoded_token: tokenLabel(tokenizer, token).text }]));
    });
    return { prompt_logprobs: told as readonly object[] };
  }
}
