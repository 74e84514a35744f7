/** Who waits for a decision, as the session Worker is told of it. */
import type { CacheReport } from "../../contracts/cache-report.ts";
import type { DecisionCaller } from "../../contracts/decisions.ts";
import { SignalledCaller } from "../../waiting/caller.ts";

export class DecisionWaiter extends SignalledCaller implements DecisionCaller {
  readonly #onBegun: (cache: CacheReport) => void;

  constructor(signal: AbortSignal, onBegun: (cache: CacheReport) => void) {
    super(signal);
    this.#onBegun = onBegun;
  }

  begun(cache: CacheReport): Promise<void> {
    this.#onBegun(structuredClone(cache));
    return Promise.resolve();
  }
}
