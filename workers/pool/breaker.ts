/**
 * Whether one backend gets work, by how it did lately. Closed: it does. Open: it does not, for a while. Then one request is the trial that
 * decides. Pure of clocks: `now` is milliseconds of a clock that never goes backwards.
 */

export interface BreakerOptions {
  /** Outcomes older than this are forgotten. */
  readonly windowMilliseconds: number;
  /** It opens at so many failures in the window, where they are at least half of all outcomes. */
  readonly failures: number;
  /** How long it stays open the first time; each trial that fails doubles it. */
  readonly openMilliseconds: number;
  readonly longestOpenMilliseconds: number;
  /** A trial of which nothing is heard for so long no longer keeps others away. */
  readonly trialMilliseconds: number;
}

export const breakerDefaults: BreakerOptions = {
  windowMilliseconds: 30_000,
  failures: 3,
  openMilliseconds: 2_000,
  longestOpenMilliseconds: 60_000,
  trialMilliseconds: 60_000,
};

/** `trial`: it is open no longer, and the next request decides. `tried`: that request is on its way. */
export type BreakerState = "closed" | "open" | "trial" | "tried";

/** Outcomes that are looked at; more than that in one window say nothing new. */
const mostOutcomes = 64;

export class Breaker {
  readonly #options: BreakerOptions;
  #outcomes: { readonly at: number; readonly failed: boolean }[] = [];
  #opened: { readonly until: number; readonly milliseconds: number } | undefined;
  /** When the trial began, and a number by which its own outcome is known. */
  #trial: { readonly at: number; readonly id: number } | undefined;
  #trials = 0;

  constructor(options: BreakerOptions = breakerDefaults) {
    this.#options = options;
  }

  /** Whether nothing is remembered that decides anything. */
  get isFresh(): boolean {
    return this.#opened === undefined && this.#outcomes.length === 0;
  }

  state(now: number): BreakerState {
    if (this.#opened === undefined) return "closed";
    if (now < this.#opened.until) return "open";
    return this.#trial !== undefined && now - this.#trial.at < this.#options.trialMilliseconds ? "tried" : "trial";
  }

  /** Milliseconds until a request may go there again; 0 where one may now. */
  opensIn(now: number): number {
    return Math.max(0, (this.#opened?.until ?? now) - now);
  }

  /** A request goes there. What it returns goes with the request's outcome: the trial's number, or undefined where it is none. */
  begin(now: number): number | undefined {
    if (this.state(now) !== "trial") return undefined;
    this.#trial = { at: now, id: ++this.#trials };
    return this.#trial.id;
  }

  succeeded(now: number, trial: number | undefined): void {
    if (this.#opened === undefined) this.#note(now, false);
    else if (this.#isCurrent(trial)) {
      this.#opened = undefined;
      this.#trial = undefined;
      this.#outcomes = [];
    }
  }

  failed(now: number, trial: number | undefined): void {
    if (this.#opened === undefined) {
      this.#note(now, true);
      const failures = this.#outcomes.filter(({ failed }) => failed).length;
      if (failures >= this.#options.failures && 2 * failures >= this.#outcomes.length) this.#open(now, this.#options.openMilliseconds);
    } else if (this.#isCurrent(trial)) {
      this.#open(now, Math.min(2 * this.#opened.milliseconds, this.#options.longestOpenMilliseconds));
    }
  }

  /** The request ended in a way that says nothing about the backend; the next one may be the trial instead. */
  neither(trial: number | undefined): void {
    if (this.#isCurrent(trial)) this.#trial = undefined;
  }

  #isCurrent(trial: number | undefined): boolean {
    return trial !== undefined && this.#trial?.id === trial;
  }

  #open(now: number, milliseconds: number): void {
    this.#opened = { until: now + milliseconds, milliseconds };
    this.#trial = undefined;
    this.#outcomes = [];
  }

  #note(now: number, failed: boolean): void {
    const from = now - this.#options.windowMilliseconds;
    this.#outcomes = [...this.#outcomes.filter(({ at }) => at > from), { at: now, failed }].slice(-mostOutcomes);
    // Successes count only beside failures.
    if (this.#outcomes.every((outcome) => !outcome.failed)) this.#outcomes = [];
  }
}
