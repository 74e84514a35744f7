/** Time of passes between one side and the others: what it takes, the others are owed so many times over before it takes part again. */

/** However long a pass took: a machine that stood still is nobody's fault. */
const mostOwedMilliseconds = 1000;

export class TimeShare {
  readonly #now: () => number;
  readonly #ratio: number;
  #begun = 0;
  #pass: "with" | "without" | undefined;
  /** Milliseconds that the others are owed. */
  #owed = 0;

  /** `ratio`: milliseconds of the others for each of the one side's. */
  constructor(now: () => number, ratio: number) {
    this.#now = now;
    this.#ratio = ratio;
  }

  /** Both want the next pass: whether the one side takes part in it. */
  next(): boolean {
    const now = this.#now();
    if (this.#pass === "with") this.#owed += this.#ratio * (now - this.#begun);
    if (this.#pass === "without") this.#owed -= now - this.#begun;
    this.#owed = Math.min(Math.max(0, this.#owed), this.#ratio * mostOwedMilliseconds);
    this.#begun = now;
    this.#pass = this.#owed > 0 ? "without" : "with";
    return this.#pass === "with";
  }

  /** What passes until the next pass is nobody's. */
  pause(): void {
    this.#pass = undefined;
  }

  /** One side is alone: nothing is owed. */
  reset(): void {
    this.#pass = undefined;
    this.#owed = 0;
  }
}
