/**
 * Who reads in a round where somebody reads much beside others of the same share who answer: without this every token of theirs would wait for a
 * whole budget of it. (Between shares `shared-passes.ts` decides.) After a pass with a part of a long prompt come passes without, for as long as that one took; after one with a part of what is read in
 * the background, for three times as long, so that it has a quarter of the time and never less.
 */
import { byShare } from "./shares.ts";
import { grainLeft, isMessage, prefillGrain, type Candidate } from "./step-plan.ts";
import { TimeShare } from "./time-share.ts";

/** What others get for each millisecond. */
const forLongPrompts = 1;
const forBackground = 3;

export interface PassChoice {
  /** Who takes part in the pass, in that order. */
  readonly taking: readonly Candidate[];
  /** How many prompt tokens it may read. */
  readonly budget: number;
}

export class LongPrompts {
  readonly #long: TimeShare;
  readonly #background: TimeShare;

  constructor(now: () => number) {
    this.#long = new TimeShare(now, forLongPrompts);
    this.#background = new TimeShare(now, forBackground);
  }

  /** What the next pass is for. */
  next(candidates: readonly Candidate[], budget: number): PassChoice {
    const yielding = candidates.filter(({ yields }) => yields === true);
    const others = candidates.filter(({ yields }) => yields !== true);
    if (yielding.length === 0 || others.length === 0) {
      this.#background.reset();
      return this.#among(candidates, budget);
    }
    if (!this.#background.next()) return this.#among(others, budget);
    this.#long.pause();
    // One grain of it, and beside it whoever answers and whoever wrote a message. Long prompts have their own passes.
    const [first] = yielding;
    const small = others.filter(isMessage);
    const grain = first === undefined ? [] : [{ ...first, pending: Math.min(first.pending, grainLeft(first.position)) }];
    return { taking: [...grain, ...small], budget: prefillGrain + Math.min(budget, messageTokens(small)) };
  }

  /** Nothing was computed: what passes until the next pass is nobody's. */
  idle(): void {
    this.#long.pause();
    this.#background.pause();
  }

  #among(candidates: readonly Candidate[], budget: number): PassChoice {
    const small = candidates.filter(isMessage);
    if (small.length === 0 || small.length === candidates.length || byShare(candidates).length > 1) {
      this.#long.reset();
      return { taking: candidates, budget };
    }
    if (!this.#long.next()) return { taking: small, budget };
    // A grain of one long prompt, however many messages there are, and beside it what they would have without.
    const long = candidates.filter((candidate) => !isMessage(candidate));
    return {
      taking: [...long.slice(0, 1), ...small, ...long.slice(1)],
      budget: prefillGrain + Math.min(budget, messageTokens(small)),
    };
  }
}

function messageTokens(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, { pending }) => sum + (pending > 1 ? pending : 0), 0);
}
