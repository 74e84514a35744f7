/** Waits that follow one another, each with an end. One timer serves a whole row of them: a timer for each would cost more than what is waited for. */

interface Wait {
  /** By a clock that may be set. */
  readonly since: number;
  readonly end: () => void;
  /** Milliseconds to go when the timer was set, or when it began where it was set before. */
  left: number;
}

export class Waits {
  #timer: { readonly id: ReturnType<typeof setTimeout>; readonly due: number; readonly of: Wait } | undefined;
  #wait: Wait | undefined;

  /** As the function of this name, one at a time. Where a clock is set meanwhile it may end too early or too late, by less than a wait before it. */
  async within<T, Late>(promise: Promise<T>, milliseconds: number, late: () => Late): Promise<T | Late> {
    const since = Date.now();
    const { promise: over, resolve } = Promise.withResolvers<typeof isLate>();
    const wait: Wait = {
      ...{ since, left: milliseconds },
      end: () => {
        resolve(isLate);
      },
    };
    this.#wait = wait;
    if (this.#timer === undefined || since + milliseconds < this.#timer.due) this.#fireFor(wait);
    try {
      const first = await Promise.race([promise, over]);
      return first === isLate ? late() : first;
    } finally {
      if (this.#wait === wait) this.#wait = undefined;
    }
  }

  /** Once nothing is waited for any more. */
  stop(): void {
    clearTimeout(this.#timer?.id);
    this.#timer = undefined;
  }

  #fireFor(wait: Wait): void {
    this.stop();
    const milliseconds = wait.left;
    const fire = (): void => {
      const { of } = this.#timer ?? {};
      this.#timer = undefined;
      const now = this.#wait;
      if (now === undefined) return;
      // The timer knows how long it took, but not how much of that a wait had which began meanwhile.
      now.left -= now === of ? milliseconds : Math.min(milliseconds, Math.max(0, Date.now() - now.since));
      if (now.left <= 0) now.end();
      else this.#fireFor(now);
    };
    this.#timer = { id: setTimeout(fire, milliseconds), due: Date.now() + milliseconds, of: wait };
  }
}

const isLate = Symbol("late");
