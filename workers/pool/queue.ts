/**
 * A bounded wait for room, for when every backend of a model is full. Shares take turns, so that one with a hundred requests does not keep another's
 * one waiting, and a share's own are served as they came. Nobody who comes later is served before those who wait.
 *
 * Of the isolate, for all its requests: a request may not await what another one made, so each looks at plain data from time to time, and takes
 * room in its own turn. One that is gone without leaving is noticed by its silence.
 */
import type { Outcome } from "../contracts/outcome.ts";
import type { ServiceFailure } from "../contracts/errors.ts";
import type { Clock } from "../waiting/once-per-isolate.ts";
import { pause } from "../waiting/within.ts";
import { GrantRate } from "./grant-rate.ts";
import { Lane, type Ticket } from "./lane.ts";
import { steadyClock } from "./steady-clock.ts";

export interface WaitQueueOptions {
  /** Most requests that wait, of all models. */
  readonly most: number;
  /** Most of them of one share. */
  readonly mostOfShare: number;
  readonly waitMilliseconds: number;
  /** Another value whenever there may be more room than before: after a new snapshot, and after a request has ended. */
  readonly pool: () => number | string;
  readonly clock?: Clock;
}

export const waitQueueDefaults: Omit<WaitQueueOptions, "pool"> = { most: 256, mostOfShare: 64, waitMilliseconds: 10_000 };

export interface Waiting {
  /** Whose request it is. */
  readonly share: string | null;
  /** What it waits for room at: the model's version. Others do not wait for it. */
  readonly lane: string;
  /** Settles once nobody waits for it any more; asked only where it has to wait. */
  readonly left?: () => Promise<unknown>;
}

const pollMilliseconds = 20;
/** Whoever does not look for so long is gone. Timers of a busy isolate may be late. */
const silenceMilliseconds = 2_000;
const clientGone: ServiceFailure = {
  code: "cancelled",
  status: 499,
  message: "The client went away while its request waited for room.",
  retryable: false,
};
const runtimeClock: Clock = { now: () => Date.now(), sleep: pause };

export class WaitQueue {
  readonly #options: WaitQueueOptions;
  readonly #clock: Clock;
  readonly #steady: () => number;
  readonly #lanes = new Map<string, Lane>();
  readonly #rates = new GrantRate();

  constructor(options: WaitQueueOptions) {
    this.#options = options;
    this.#clock = options.clock ?? runtimeClock;
    this.#steady = steadyClock(() => this.#clock.now());
  }

  /** Requests that wait now. */
  get size(): number {
    let size = 0;
    for (const lane of this.#lanes.values()) size += lane.size;
    return size;
  }

  /**
   * What `find` finds, as soon as it finds anything in this request's turn; undefined means that there is no room. It is asked at once where nobody
   * waits, and changes nothing: `take` does, which makes the room another's no longer. Fails where the queue is full (429 where the share's own
   * requests fill its part, 503 otherwise), after the wait, and once its caller has left.
   */
  async run<T>({ share, lane: name, left }: Waiting, find: () => T | undefined, take: (found: T) => void): Promise<Outcome<T>> {
    this.#forgetTheGone();
    if (!this.#lanes.has(name)) {
      const found = find();
      if (found !== undefined) return taken(found, take);
    }
    const failure = this.#refusal(share, name);
    if (failure !== undefined) return { ok: false, failure };
    const begin = this.#steady();
    const ticket: Ticket = { share, hasRoom: () => find() !== undefined, lookedAt: begin, noRoomIn: undefined };
    this.#lane(name, begin).look(ticket, begin);
    const caller = { isGone: false };
    const leave = () => {
      caller.isGone = true;
    };
    void left?.().then(leave, leave);
    try {
      while (true) {
        await this.#clock.sleep(pollMilliseconds);
        if (caller.isGone) return { ok: false, failure: clientGone };
        const now = this.#steady();
        const found = this.#isNext(name, ticket, now) ? find() : undefined;
        if (found !== undefined) {
          this.#lane(name, now).served(ticket);
          this.#rates.granted(name, now);
          return taken(found, take);
        }
        if (now - begin >= this.#options.waitMilliseconds) {
          const seconds = (this.#options.waitMilliseconds / 1000).toFixed(0);
          return { ok: false, failure: this.#overloaded(503, `No backend had room within ${seconds} s.`, name) };
        }
      }
    } finally {
      const lane = this.#lanes.get(name);
      lane?.leave(ticket);
      if (lane?.size === 0) this.#lanes.delete(name);
    }
  }

  #lane(name: string, now: number): Lane {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const lane = new Lane();
    this.#lanes.set(name, lane);
    this.#rates.waitingBegins(name, now);
    return lane;
  }

  #isNext(name: string, ticket: Ticket, now: number): boolean {
    const lane = this.#lane(name, now);
    lane.look(ticket, now);
    lane.forget(now - silenceMilliseconds);
    return lane.next(now, this.#options.pool()) === ticket;
  }

  #refusal(share: string | null, name: string): ServiceFailure | undefined {
    const { most, mostOfShare } = this.#options;
    let own = 0;
    for (const lane of this.#lanes.values()) own += lane.sizeOf(share);
    if (own >= mostOfShare) return this.#overloaded(429, `${own} of your requests wait for room, which is the limit.`, name);
    if (this.size >= most) return this.#overloaded(503, `All backends are full, and so is the queue.`, name);
    return undefined;
  }

  #overloaded(status: 429 | 503, message: string, name: string): ServiceFailure {
    const seconds = this.#rates.secondsFor(name, (this.#lanes.get(name)?.size ?? 0) + 1);
    return { code: "overloaded", status, message, retryable: true, retryAfterSeconds: seconds };
  }

  #forgetTheGone(): void {
    const before = this.#steady() - silenceMilliseconds;
    for (const [name, lane] of this.#lanes) {
      lane.forget(before);
      if (lane.size === 0) this.#lanes.delete(name);
    }
  }
}

function taken<T>(found: T, take: (found: T) => void): Outcome<T> {
  take(found);
  return { ok: true, value: found };
}
