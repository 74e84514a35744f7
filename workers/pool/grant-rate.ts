/** How often room becomes free at each model, by which clients are told when to come again. */

/** Times that are looked back at. */
const mostTimes = 9;
const leastSeconds = 1;
const mostSeconds = 60;
/** Where nothing is known: the snapshot is renewed within this. */
const unknownSeconds = 2;
/** More models than one pool has. */
const mostModels = 256;

export class GrantRate {
  /** Of each model, when requests that waited got room. The first is when waiting began, moved by the time in which nobody waited. */
  readonly #times = new Map<string, readonly number[]>();

  /** The first one waits; the time before it says nothing. */
  waitingBegins(name: string, now: number): void {
    const times = this.#times.get(name) ?? [now];
    const idle = now - (times.at(-1) ?? now);
    this.#set(
      name,
      times.map((time) => time + idle),
    );
  }

  /** A request that waited got room. */
  granted(name: string, now: number): void {
    this.#set(name, [...(this.#times.get(name) ?? []), now].slice(-mostTimes));
  }

  /** Whole seconds until so many will have got room, going by the past. */
  secondsFor(name: string, requests: number): number {
    const times = this.#times.get(name) ?? [];
    const [first, last] = [times[0], times.at(-1)];
    if (first === undefined || last === undefined || times.length === 1) return unknownSeconds;
    const mean = (last - first) / (times.length - 1);
    return Math.min(mostSeconds, Math.max(leastSeconds, Math.ceil((mean * requests) / 1000)));
  }

  #set(name: string, times: readonly number[]): void {
    // The newest use is the last.
    this.#times.delete(name);
    this.#times.set(name, times);
    for (const [oldest] of this.#times) {
      if (this.#times.size <= mostModels) break;
      this.#times.delete(oldest);
    }
  }
}
