/**
 * What one forward pass computes where several shares want it: deficit round robin. A pass goes round by round, each share has the same credit
 * of every round, and what it can't use yet it keeps; the pass ends as soon as one share has all that it asked for. So a share that asks for
 * little waits for as much of another's as it takes itself, however much that one asks for, and nobody is left out.
 * Who comes, or has been quiet, brings a bounded credit for prompts along, so that a message is read at once. Alone, a share has all of every pass.
 */
import { byShare } from "./shares.ts";
import { begunFirst, isMessage, mostAnswering, nextGrain, planAlone, toPlan, type Candidate } from "./step-plan.ts";

/** What an answer's token costs, in tokens of a prompt: those are computed in tiles, and only the last has logits. */
const answerCost = 2;
/** Tokens of prompts that a share may read at once after it was quiet: a message. */
export const mostCredit = 128;

type Share = string | null;

/** In tokens of a prompt. A share that has answers to compute and prompts to read divides what it gets between both. */
interface Credit {
  answers: number;
  prompts: number;
}

interface Wish {
  readonly credit: Credit;
  answers: readonly Candidate[];
  prompts: readonly Candidate[];
}

export class SharedPasses {
  /** Of shares that have been served; whoever is not here has all the credit that one may have. */
  readonly #credits = new Map<Share, Credit>();

  /** `candidates` in the order in which they are considered (`inOrder`); `budget`: tokens of prompts that the pass may read. */
  plan(candidates: readonly Candidate[], budget: number): Uint32Array {
    const groups = byShare(candidates.filter(({ yields }) => yields !== true));
    const [only] = groups;
    if (only === undefined) return toPlan(candidates, planAlone(candidates, budget));
    // What is read in the background has been given its part before, and nothing is reckoned for it.
    const background = new Map(candidates.filter(({ yields }) => yields === true).map((candidate) => [candidate, candidate.pending]));
    const left = budget - sumOf(background);
    const counts = groups.length === 1 ? this.#alone(only, left) : this.#among(groups, left);
    return toPlan(candidates, new Map([...background, ...counts]));
  }

  /** Nobody wants anything: nobody has taken from anybody. */
  reset(): void {
    this.#credits.clear();
  }

  #alone(group: readonly Candidate[], budget: number): Map<Candidate, number> {
    const share = group[0]?.share ?? null;
    const counts = planAlone(group, budget);
    let read = 0;
    let answers = 0;
    for (const [{ pending }, count] of counts) {
      if (pending > 1) read += count;
      else answers += 1;
    }
    const credit = this.#creditOf(share);
    credit.prompts = Math.max(0, credit.prompts - read);
    this.#creditOthers(new Set([share]), read + answerCost * answers);
    return counts;
  }

  #among(groups: readonly Candidate[][], budget: number): Map<Candidate, number> {
    const counts = new Map<Candidate, number>();
    const wishes = groups.map((group): Wish => ({
      credit: this.#creditOf(group[0]?.share ?? null),
      answers: group.filter(({ pending }) => pending === 1),
      prompts: begunFirst(group.filter(({ pending }) => pending > 1)),
    }));
    const active = new Set(groups.map((group) => group[0]?.share ?? null));
    let places = mostAnswering;
    let left = budget;

    /** A grain of each share's next prompt that its credit pays for. */
    const read = (): boolean => {
      let any = false;
      for (const wish of wishes) {
        const [candidate, ...others] = wish.prompts;
        if (candidate === undefined) continue;
        const planned = counts.get(candidate) ?? 0;
        const count = nextGrain(candidate, planned);
        if (count > left || count > wish.credit.prompts) continue;
        left -= count;
        wish.credit.prompts -= count;
        counts.set(candidate, planned + count);
        if (planned + count === candidate.pending) wish.prompts = others;
        else if (!isMessage(candidate)) wish.prompts = [...others, candidate];
        any = true;
      }
      return any;
    };
    const answer = (wish: Wish): void => {
      while (wish.credit.answers >= answerCost && places > 0) {
        const [candidate, ...others] = wish.answers;
        if (candidate === undefined) return;
        places -= 1;
        wish.credit.answers -= answerCost;
        counts.set(candidate, 1);
        wish.answers = others;
      }
    };
    const hasMore = ({ answers, prompts: [candidate] }: Wish): boolean =>
      (answers.length > 0 && places > 0) || (candidate !== undefined && nextGrain(candidate, counts.get(candidate) ?? 0) <= left);

    while (read());
    do {
      for (const wish of wishes) {
        const { credit } = wish;
        const wantsBoth = wish.answers.length > 0 && wish.prompts.length > 0;
        const each = wantsBoth ? answerCost / 2 : answerCost;
        if (wish.answers.length > 0) credit.answers = Math.min(answerCost * mostAnswering, credit.answers + each);
        if (wish.prompts.length > 0) credit.prompts = Math.min(mostCredit, credit.prompts + each);
        answer(wish);
      }
      this.#creditOthers(active, answerCost);
      while (read());
    } while (wishes.some(hasMore) && (counts.size === 0 || wishes.every(hasMore)));
    for (const { answers, credit } of wishes) if (answers.length === 0) credit.answers = 0;
    return counts;
  }

  #creditOf(share: Share): Credit {
    const credit = this.#credits.get(share) ?? { answers: 0, prompts: mostCredit };
    this.#credits.set(share, credit);
    return credit;
  }

  /** Those who want nothing now, while others are served. */
  #creditOthers(active: ReadonlySet<Share>, amount: number): void {
    for (const [share, credit] of this.#credits) {
      if (active.has(share)) continue;
      credit.prompts += amount;
      if (credit.prompts >= mostCredit) this.#credits.delete(share);
    }
  }
}

const sumOf = (counts: ReadonlyMap<Candidate, number>): number => [...counts.values()].reduce((sum, count) => sum + count, 0);
