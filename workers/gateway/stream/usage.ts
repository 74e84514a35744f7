/** Counts an answer's tokens as its choices end: a prompt counts once, however many choices continue it. */
import type { ChoiceEnd } from "../../contracts/choice.ts";
import type { StateReport } from "../../contracts/state.ts";
import type { AnswerUsage } from "./formats/format.ts";
import type { AnswerRecipe } from "./recipe.ts";
import { SpikeSums } from "./spike-report.ts";
import { addStates } from "./state-report.ts";

export class UsageCounter {
  readonly #recipe: AnswerRecipe;
  readonly #prompts = new Map<number, number>();
  readonly #cached = new Map<number, number>();
  readonly #spikes = new SpikeSums();
  #completionTokens = 0;
  #state: StateReport = { tokens: 0, bytes: 0 };

  constructor(recipe: AnswerRecipe) {
    this.#recipe = recipe;
  }

  add(end: ChoiceEnd): void {
    this.#completionTokens += end.completionTokens;
    const prompt = this.#recipe.choices.find(({ index }) => index === end.index)?.promptIndex ?? 0;
    this.#prompts.set(prompt, end.promptTokens);
    this.#cached.set(prompt, Math.max(this.#cached.get(prompt) ?? 0, end.cachedTokens));
    this.#spikes.add(end.spikes, end.spikeTotals);
    this.#state = addStates(this.#state, end.state);
  }

  total(): AnswerUsage {
    const { spikes, state } = this.#recipe;
    const promptTokens = sum(this.#prompts);
    return {
      prompt_tokens: promptTokens,
      completion_tokens: this.#completionTokens,
      total_tokens: promptTokens + this.#completionTokens,
      prompt_tokens_details: { cached_tokens: sum(this.#cached) },
      ...(spikes === null ? {} : { spikes: this.#spikes.report(spikes) }),
      ...(state ? { state: this.#state } : {}),
    };
  }
}

function sum(counts: ReadonlyMap<number, number>): number {
  return counts.values().reduce((total, count) => total + count, 0);
}
