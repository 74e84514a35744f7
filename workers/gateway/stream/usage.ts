/** Counts an answer's tokens as its choices end: a prompt counts once, however many choices continue it. */
import type { ChoiceEnd } from "../../contracts/choice.ts";
import type { Job } from "../../contracts/choice.ts";
import type { SpikingMode } from "../../contracts/spikes.ts";
import type { AnswerUsage } from "./format.ts";
import type { StateReport } from "../../contracts/state.ts";
import { SpikeSums } from "./spike-report.ts";
import { addStates } from "./state-report.ts";

export class UsageCounter {
  readonly #jobs: readonly Job[];
  readonly #promptTokens: number;
  readonly #cachedByPrompt = new Map<number, number>();
  readonly #spikes: { readonly mode: SpikingMode; readonly sums: SpikeSums } | undefined;
  #completionTokens = 0;
  #state: StateReport | undefined;

  /** `spikes` is the model's mode where the answer reports its spikes. */
  constructor(jobs: readonly Job[], spikes: SpikingMode | null) {
    this.#jobs = jobs;
    this.#state = jobs.some(({ request }) => request.reportState === true) ? { tokens: 0, bytes: 0 } : undefined;
    this.#spikes = spikes === null ? undefined : { mode: spikes, sums: new SpikeSums() };
    const lengths = new Map(jobs.map((job) => [job.promptIndex, job.request.prompt.length]));
    this.#promptTokens = lengths.values().reduce((sum, length) => sum + length, 0);
  }

  add(end: ChoiceEnd): void {
    this.#completionTokens += end.completionTokens;
    const prompt = this.#jobs[end.index]?.promptIndex ?? 0;
    this.#cachedByPrompt.set(prompt, Math.max(this.#cachedByPrompt.get(prompt) ?? 0, end.cachedTokens));
    this.#spikes?.sums.add(end.spikes, end.spikeTotals);
    if (this.#state !== undefined) this.#state = addStates(this.#state, end.state);
  }

  total(): AnswerUsage {
    return {
      prompt_tokens: this.#promptTokens,
      completion_tokens: this.#completionTokens,
      total_tokens: this.#promptTokens + this.#completionTokens,
      prompt_tokens_details: { cached_tokens: this.#cachedByPrompt.values().reduce((sum, count) => sum + count, 0) },
      ...(this.#spikes === undefined ? {} : { spikes: this.#spikes.sums.report(this.#spikes.mode) }),
      ...(this.#state === undefined ? {} : { state: this.#state }),
    };
  }
}
