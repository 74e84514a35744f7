/**
 * Values that all of an isolate share, each made by whoever asks first. The runtime ties a promise to the request or object that made it, and
 * nobody else may await it, so those who come later look at a plain status from time to time. A maker that is gone is noticed by its silence.
 */
import { pause } from "./within.ts";

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

export interface OnceOptions {
  /** A maker that has shown no progress for so long is gone; far longer than any step of its work takes. */
  readonly silenceMilliseconds: number;
  /** A failure is everybody's answer for so long; then the next one who asks tries again. Those who wait for it get it in any case. */
  readonly failureMilliseconds: number;
  readonly clock?: Clock;
}

type Status<T> =
  | { readonly kind: "none" }
  | { readonly kind: "making"; aliveAt: number; undo: () => void }
  | { readonly kind: "made"; readonly value: T }
  | { readonly kind: "failed"; readonly error: unknown; readonly at: number };

const pollMilliseconds = 10;
const runtimeClock: Clock = { now: () => Date.now(), sleep: pause };

export class OncePerIsolate<T> {
  readonly #options: OnceOptions;
  readonly #clock: Clock;
  #status: Status<T> = { kind: "none" };

  constructor(options: OnceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? runtimeClock;
  }

  /** The value, if it has been made. */
  get value(): T | undefined {
    return this.#status.kind === "made" ? this.#status.value : undefined;
  }

  /** Makes every later `get` fail: the value was found unusable and cannot be made again. */
  poison(error: unknown): void {
    this.#status = { kind: "failed", error, at: Number.POSITIVE_INFINITY };
  }

  async get(make: (making: Making) => Promise<T>): Promise<T> {
    for (let hasWaited = false; ; hasWaited = true) {
      const status = this.#status;
      switch (status.kind) {
        case "made":
          return status.value;
        case "failed":
          if (hasWaited || this.#clock.now() - status.at < this.#options.failureMilliseconds) throw status.error;
          await this.#make(make);
          break;
        case "none":
          await this.#make(make);
          break;
        case "making":
          if (this.#clock.now() - status.aliveAt > this.#options.silenceMilliseconds) {
            status.undo();
            await this.#make(make);
          } else {
            await this.#clock.sleep(pollMilliseconds);
          }
      }
    }
  }

  /** Leaves its result in the status, unless another one has taken over. */
  async #make(make: (making: Making) => Promise<T>): Promise<void> {
    const mine: Status<T> & { kind: "making" } = { kind: "making", aliveAt: this.#clock.now(), undo: () => undefined };
    this.#status = mine;
    const making: Making = {
      alive: () => {
        if (this.#status !== mine) throw new Error("another one has taken the making over");
        mine.aliveAt = this.#clock.now();
      },
      onTakenOver: (undo) => {
        mine.undo = undo;
      },
    };
    let result: Status<T>;
    try {
      result = { kind: "made", value: await make(making) };
    } catch (error) {
      result = { kind: "failed", error, at: this.#clock.now() };
    }
    if (this.#status === mine) this.#status = result;
  }
}

/** Small files are read in far less; a failure is tried again by the next one who asks. */
const keyedOptions: OnceOptions = { silenceMilliseconds: 5_000, failureMilliseconds: 0 };

/** One value a key. Of more than `most` those go that were used longest ago; they are made again when they are asked for. */
export function oncePerKey<Source, Value>(
  load: (source: Source, key: string) => Promise<Value>,
  most: number,
): (source: Source, key: string) => Promise<Value> {
  const slots = new Map<string, OncePerIsolate<Value>>();

  return async (source, key) => {
    const slot = slots.get(key) ?? new OncePerIsolate<Value>(keyedOptions);
    // The newest use is the last.
    slots.delete(key);
    slots.set(key, slot);
    for (const [oldest] of slots) {
      if (slots.size <= most) break;
      slots.delete(oldest);
    }
    return await slot.get(() => load(source, key));
  };
}
