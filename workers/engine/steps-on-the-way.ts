/** Steps of an engine that takes its time: those that have begun, and what is to be done when they end, in the scheduler's own loop. */
import type { Generation } from "./generation.ts";

export class StepsOnTheWay {
  readonly #wake: () => void;
  #count = 0;
  /** Of steps that have ended since the loop looked last. */
  #ends: (() => void)[] = [];

  /** @param wake makes the loop look, where it sleeps */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  get count(): number {
    return this.#count;
  }

  /** Until the step has ended, its sequences are left alone. */
  follow(step: Promise<void>, taken: readonly Generation[], done: () => void, failed: (error: unknown) => void): void {
    this.#count += 1;
    for (const generation of taken) generation.stepping = true;
    const ended = (end: () => void): void => {
      this.#ends.push(() => {
        this.#count -= 1;
        for (const generation of taken) generation.stepping = false;
        end();
      });
      this.#wake();
    };
    step.then(
      () => {
        ended(done);
      },
      (error: unknown) => {
        ended(() => {
          failed(error);
        });
      },
    );
  }

  /** Does what is to be done for those that have ended. */
  settle(): void {
    for (const end of this.#ends.splice(0)) end();
  }
}
