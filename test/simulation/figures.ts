/** What a simulation counts. */
import { quantile } from "../bench/report/statistics.ts";

export interface Figures {
  readonly requests: number;
  /** Of the prompts' tokens that an earlier request had, those that were still where the request went. In [0, 1]. */
  readonly hitRate: number;
  /** From asking until computing begins, whatever was tried on the way. */
  readonly queueMilliseconds: { readonly p50: number; readonly p99: number };
  readonly firstTokenMilliseconds: { readonly p50: number; readonly p99: number };
  /** The fullest replica's requests over the mean, the mean of samples. */
  readonly imbalance: number;
  /** Answers a second of those that were asked for, from the first request to the last. */
  readonly refusals: number;
  readonly afterLoss: {
    /** Requests that were cut. */
    readonly cut: number;
    /** 99th percentile in the minute after, cut requests counted from the cut on. */
    readonly queueP99Milliseconds: number;
    readonly hitRate: number;
    /** Until the last request was sent to a replica that was gone. */
    readonly lastTryMilliseconds: number;
    readonly triesAtGone: number;
  };
}

const minute = 60_000;

export class Counter {
  readonly #from: number;
  readonly #lossAt: number;
  readonly #queued: number[] = [];
  readonly #firstTokens: number[] = [];
  readonly #queuedAfter: number[] = [];
  readonly #imbalances: number[] = [];
  readonly #tokens = { before: { repeated: 0, found: 0 }, after: { repeated: 0, found: 0 } };
  #refusals = 0;
  #cut = 0;
  #lastTry = 0;
  #tries = 0;

  /** @param from What comes before is warming up. @param lossAt When a tenth of the replicas goes. */
  constructor(from: number, lossAt: number) {
    this.#from = from;
    this.#lossAt = lossAt;
  }

  started(askedAt: number, now: number, repeatedTokens: number, foundTokens: number): void {
    if (askedAt < this.#from) return;
    const isAfter = askedAt >= this.#lossAt;
    if (!isAfter) this.#queued.push(now - askedAt);
    else if (askedAt < this.#lossAt + minute) this.#queuedAfter.push(now - askedAt);
    const tokens = isAfter ? this.#tokens.after : this.#tokens.before;
    if (isAfter && askedAt >= this.#lossAt + 5 * minute) return;
    tokens.repeated += repeatedTokens;
    tokens.found += foundTokens;
  }

  firstToken(askedAt: number, now: number): void {
    if (askedAt >= this.#from && askedAt < this.#lossAt) this.#firstTokens.push(now - askedAt);
  }

  sample(requests: readonly number[], now: number): void {
    const sum = requests.reduce((total, count) => total + count, 0);
    if (now < this.#from || now >= this.#lossAt || sum === 0) return;
    this.#imbalances.push((Math.max(...requests) * requests.length) / sum);
  }

  refused(now: number): void {
    if (now >= this.#from && now < this.#lossAt) this.#refusals += 1;
  }

  cut(): void {
    this.#cut += 1;
  }

  triedGone(now: number): void {
    this.#lastTry = now - this.#lossAt;
    this.#tries += 1;
  }

  figures(): Figures {
    const both = (values: readonly number[]) => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99) });
    const rate = ({ repeated, found }: { readonly repeated: number; readonly found: number }) => found / Math.max(1, repeated);
    return {
      requests: this.#queued.length,
      hitRate: rate(this.#tokens.before),
      queueMilliseconds: both(this.#queued),
      firstTokenMilliseconds: both(this.#firstTokens),
      imbalance: this.#imbalances.reduce((sum, value) => sum + value, 0) / this.#imbalances.length,
      refusals: this.#refusals,
      afterLoss: {
        cut: this.#cut,
        queueP99Milliseconds: quantile(this.#queuedAfter, 0.99),
        hitRate: rate(this.#tokens.after),
        lastTryMilliseconds: this.#lastTry,
        triesAtGone: this.#tries,
      },
    };
  }
}
