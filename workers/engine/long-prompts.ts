/**
 * Whose turn it is where somebody reads a long prompt beside others who answer: without this every token of theirs would wait for a whole
 * budget of the prompt. They get as much time as it takes: after a pass with a part of it come passes without, for as long.
 */
import { prefillGrain, type PlanEntry } from "./step-plan.ts";

/** More than this still to read is long; what is shorter is a message, whose sender waits for the first token. */
const longTokens = 256;
/** However long a pass took: a machine that stood still is nobody's fault. */
const mostOwedMilliseconds = 1000;

export class LongPrompts {
  readonly #now: () => number;
  #begun = 0;
  #pass: "shared" | "without" | undefined;
  /** Milliseconds that the others are owed. */
  #owed = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Who takes part in the next pass, in that order, and how many prompt tokens it may read. */
  next(entries: readonly PlanEntry[], budget: number): { readonly taking: readonly PlanEntry[]; readonly budget: number } {
    const now = this.#now();
    if (this.#pass === "shared") this.#owed += now - this.#begun;
    if (this.#pass === "without") this.#owed -= now - this.#begun;
    this.#begun = now;
    const others = entries.filter(({ pending }) => pending <= longTokens);
    if (others.length === 0 || others.length === entries.length) {
      this.#pass = undefined;
      this.#owed = 0;
      return { taking: entries, budget };
    }
    this.#owed = Math.min(Math.max(0, this.#owed), mostOwedMilliseconds);
    this.#pass = this.#owed > 0 ? "without" : "shared";
    if (this.#pass === "without") return { taking: others, budget };
    // A grain of one long prompt, however many messages there are, and beside it what they would have without.
    const long = entries.filter(({ pending }) => pending > longTokens);
    const messages = others.reduce((sum, { pending }) => sum + (pending > 1 ? pending : 0), 0);
    return { taking: [...long.slice(0, 1), ...others, ...long.slice(1)], budget: prefillGrain + Math.min(budget, messages) };
  }

  /** Nothing was computed: what passes until the next pass is nobody's. */
  idle(): void {
    this.#pass = undefined;
  }
}
