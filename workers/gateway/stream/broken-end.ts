/**
 * Breaks a body off after its last bytes have arrived. The runtime reads ahead: while it sends one chunk it asks for the next, and an error in
 * its place takes back what is not sent yet. So a chunk without meaning comes between, and then a moment in which a client that has
 * understood the last bytes leaves by itself; the break is for everybody else on the way, to whom a clean end would say that nothing is missing.
 */
import { within } from "../../waiting/within.ts";

const patienceMilliseconds = 250;

export class BrokenEnd {
  readonly #filler: string;
  readonly #left = Promise.withResolvers<"left">();
  #filled = false;

  /** `filler` means nothing where it stands. */
  constructor(filler: string) {
    this.#filler = filler;
  }

  /** For each time that the runtime asks for more after the last bytes. */
  async pull(controller: ReadableByteStreamController, cause: Error): Promise<void> {
    if (!this.#filled) {
      this.#filled = true;
      controller.enqueue(new TextEncoder().encode(this.#filler));
    } else if ((await within(this.#left.promise, patienceMilliseconds, () => null)) === null) controller.error(cause);
  }

  /** The client has gone. */
  leave(): void {
    this.#left.resolve("left");
  }
}
