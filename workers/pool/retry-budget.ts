/**
 * How many requests may be tried again elsewhere: a share of all requests, and a few at any time. Where everything fails, tries again would
 * otherwise double or triple the load on what is left. State of one isolate, with an injected clock.
 */
import { steadyClock } from "./steady-clock.ts";

export interface RetryBudgetOptions {
  /** Of requests. */
  readonly share: number;
  /** Also without requests, so that one of few requests can be tried again. */
  readonly perSecond: number;
  /** Most that are saved up. It begins with as many. */
  readonly most: number;
}

export const retryBudgetDefaults: RetryBudgetOptions = { share: 0.2, perSecond: 2, most: 20 };

export class RetryBudget {
  readonly #options: RetryBudgetOptions;
  readonly #steady: () => number;
  #left: number;
  #at: number;

  /** @param now Unix milliseconds; may jump. */
  constructor(now: () => number, options: RetryBudgetOptions = retryBudgetDefaults) {
    this.#options = options;
    this.#steady = steadyClock(now);
    this.#left = options.most;
    this.#at = this.#steady();
  }

  /** A request has come: call it once for each, not for its tries. */
  request(): void {
    this.#add(this.#options.share);
  }

  /** Whether a request may be tried once more; where it may, that is counted. */
  take(): boolean {
    const now = this.#steady();
    this.#add(((now - this.#at) / 1000) * this.#options.perSecond);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }

  #add(tries: number): void {
    this.#left = Math.min(this.#options.most, this.#left + tries);
  }
}
