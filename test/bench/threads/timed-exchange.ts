/** An exchange that notes how long its rank has computed before each handing in, waiting and reading, and how long these have taken. */
import type { RankExchange } from "../../../workers/engine/engine-surface.ts";
import { SharedExchange, type Meeting } from "../../../workers/engine/ranks/exchange.ts";

/** Calls of a step that are noted. */
const mostCalls = 8192;

/** Of every call of a step, in order: milliseconds of work before it, and of the call itself. Shared by the threads. */
export interface CallTimes {
  readonly count: Int32Array<SharedArrayBuffer>;
  readonly work: Float64Array<SharedArrayBuffer>;
  readonly call: Float64Array<SharedArrayBuffer>;
  /** Whether it waited for others. */
  readonly waits: Uint8Array<SharedArrayBuffer>;
}

export function createTimes(): CallTimes {
  return {
    count: new Int32Array(new SharedArrayBuffer(4)),
    work: new Float64Array(new SharedArrayBuffer(8 * mostCalls)),
    call: new Float64Array(new SharedArrayBuffer(8 * mostCalls)),
    waits: new Uint8Array(new SharedArrayBuffer(mostCalls)),
  };
}

export class TimedExchange implements RankExchange {
  readonly #times: CallTimes;
  readonly #exchange: SharedExchange;
  #end = 0;

  constructor(meeting: Meeting, memory: () => ArrayBufferLike, times: CallTimes) {
    [this.#exchange, this.#times] = [new SharedExchange(meeting, memory), times];
  }

  handIn(own: number, length: number, at: number): number {
    return this.#timed(false, () => this.#exchange.handIn(own, length, at));
  }

  wait(): number {
    return this.#timed(true, () => this.#exchange.wait());
  }

  read(from: number, length: number, target: number): void {
    this.#timed(false, () => {
      this.#exchange.read(from, length, target);
    });
  }

  leave(code: number): void {
    this.#exchange.leave(code);
  }

  #timed<T>(waits: boolean, call: () => T): T {
    const { count, work, call: calls, waits: waiting } = this.#times;
    const begin = performance.now();
    const result = call();
    const [end, at] = [performance.now(), count[0] ?? 0];
    if (at < mostCalls) {
      // Before the first call of a step lies what no step has done.
      work[at] = at === 0 ? 0 : begin - this.#end;
      calls[at] = end - begin;
      waiting[at] = Number(waits);
      count[0] = at + 1;
    }
    this.#end = end;
    return result;
  }
}
