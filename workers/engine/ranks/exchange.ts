/**
 * Where the ranks of one model meet: threads of one process, each with the engine in a memory of its own. What a rank hands in is copied into a
 * buffer that all share, and everybody's is copied out again. There are two such buffers, used alternately, so that one meeting is enough: whoever
 * writes into a buffer again has seen that all have read it.
 */
import type { RankExchange } from "../engine-surface.ts";

/** Words of the control block. */
const arrived = 0;
const round = 1;
const left = 2;
const controlWords = 3;

/** Looks at the others' progress before a rank sleeps: a sleep costs some 50 microseconds, a look some nanoseconds. */
const looks = 20_000;
/** A sleep ends at the latest after this, so that nothing hangs on one call to wake. */
const napMilliseconds = 100;

/** What a rank leaves with that did not refuse, but broke: none of the engine's own numbers. */
export const brokenCode = 99;

/** Memory that all ranks of one model share. */
export interface Meeting {
  readonly ranks: number;
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly numbers: readonly [Float32Array<SharedArrayBuffer>, Float32Array<SharedArrayBuffer>];
}

/** `bytes` is the largest exchange of the model. */
export function createMeeting(ranks: number, bytes: number): Meeting {
  const buffer = () => new Float32Array(new SharedArrayBuffer(Math.max(bytes, 4 * ranks)));
  return { ranks, control: new Int32Array(new SharedArrayBuffer(4 * controlWords)), numbers: [buffer(), buffer()] };
}

/** After every rank has ended its call, one of which has failed: all may go on. */
export function setBack({ control }: Meeting): void {
  Atomics.store(control, arrived, 0);
  Atomics.store(control, left, 0);
}

export class SharedExchange implements RankExchange {
  readonly #meeting: Meeting;
  readonly #memory: () => ArrayBufferLike;
  #view: Float32Array = new Float32Array(0);

  /** `memory` is the linear memory of this rank as it is now: it moves when it grows. */
  constructor(meeting: Meeting, memory: () => ArrayBufferLike) {
    this.#meeting = meeting;
    this.#memory = memory;
  }

  gather(own: number, length: number, at: number, all: number, total: number): number {
    const { control, numbers, ranks } = this.#meeting;
    if (Atomics.load(control, left) !== 0) return Atomics.load(control, left);
    const memory = this.#memory();
    if (this.#view.buffer !== memory) this.#view = new Float32Array(memory);
    const now = Atomics.load(control, round);
    const shared = numbers[(now & 1) as 0 | 1];
    if (length > 0) shared.set(this.#view.subarray(own / 4, own / 4 + length), at);
    if (Atomics.add(control, arrived, 1) + 1 === ranks) {
      Atomics.store(control, arrived, 0);
      Atomics.add(control, round, 1);
      Atomics.notify(control, round);
    } else {
      const code = this.#untilRoundAfter(now);
      if (code !== 0) return code;
    }
    if (total > 0) this.#view.set(shared.subarray(0, total), all / 4);
    return 0;
  }

  leave(code: number): void {
    const { control } = this.#meeting;
    Atomics.compareExchange(control, left, 0, code);
    Atomics.notify(control, round);
  }

  #untilRoundAfter(now: number): number {
    const { control } = this.#meeting;
    for (let look = 0; Atomics.load(control, round) === now; look += 1) {
      const code = Atomics.load(control, left);
      // The last to come may have ended the round before another left the next one.
      if (code !== 0 && Atomics.load(control, round) === now) return code;
      if (look >= looks) Atomics.wait(control, round, now, napMilliseconds);
    }
    return 0;
  }
}
