/**
 * One value per isolate, made by whoever asks first. Engine objects of one isolate share it, and workerd forbids an object to await another
 * object's promise, so those who come later look at a plain status from time to time. A maker whose object died is noticed by its silence.
 */
export interface Clock {
  now(): number;
  sleep(milliseconds: number): Promise<void>;
}

/** Held by whoever makes the value. */
export interface Making {
  /** Call it with every bit of progress. Throws when another one has taken over. */
  alive(): void;
  /** What to do when another one takes over; nothing asynchronous. */
  onTakenOver(undo: () => void): void;
}

type Status<T> =
  | { readonly kind: "none" }
  | { readonly kind: "making"; aliveAt: number; undo: () => void }
  | { readonly kind: "made"; readonly value: T }
  | { readonly kind: "failed"; readonly error: unknown; readonly at: number };

const pollMilliseconds = 50;
/** A maker reports every chunk it reads; far longer than any one of them takes. */
const silenceMilliseconds = 15_000;
/** A failure is everybody's answer for this long; then the next one who asks tries again. */
const failureMilliseconds = 5000;

export class OncePerIsolate<T> {
  #status: Status<T> = { kind: "none" };

  /** The value, if it has been made. */
  get value(): T | undefined {
    return this.#status.kind === "made" ? this.#status.value : undefined;
  }

  /** Makes every later `get` fail: the value was found unusable and cannot be made again. */
  poison(error: unknown): void {
    this.#status = { kind: "failed", error, at: Number.POSITIVE_INFINITY };
  }

  async get(make: (making: Making) => Promise<T>, clock: Clock): Promise<T> {
    const askedAt = clock.now();
    while (true) {
      const status = this.#status;
      switch (status.kind) {
        case "made":
          return status.value;
        case "failed":
          if (status.at >= Math.min(askedAt, clock.now() - failureMilliseconds)) throw status.error;
          await this.#make(make, clock);
          break;
        case "none":
          await this.#make(make, clock);
          break;
        case "making":
          if (clock.now() - status.aliveAt > silenceMilliseconds) {
            status.undo();
            await this.#make(make, clock);
          } else {
            await clock.sleep(pollMilliseconds);
          }
      }
    }
  }

  /** Leaves its result in the status, unless another one has taken over. */
  async #make(make: (making: Making) => Promise<T>, clock: Clock): Promise<void> {
    const mine: Status<T> & { kind: "making" } = { kind: "making", aliveAt: clock.now(), undo: () => undefined };
    this.#status = mine;
    const making: Making = {
      alive: () => {
        if (this.#status !== mine) throw new Error("another object has taken the making over");
        mine.aliveAt = clock.now();
      },
      onTakenOver: (undo) => {
        mine.undo = undo;
      },
    };
    let result: Status<T>;
    try {
      result = { kind: "made", value: await make(making) };
    } catch (error) {
      result = { kind: "failed", error, at: clock.now() };
    }
    if (this.#status === mine) this.#status = result;
  }
}
