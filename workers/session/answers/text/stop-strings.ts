/**
 * Finds stop strings in text that arrives in deltas. Text that could still become part of a stop string is held back,
 * so that nothing is ever emitted that would have to be taken back.
 */
export class StopStringMatcher {
  readonly #stops: readonly string[];
  #held = "";

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** The text that is safe to show, and the stop string that was found right behind it. */
  push(text: string): { readonly text: string; readonly stop?: string } {
    const pending = this.#held + text;
    const match = this.#firstMatch(pending);
    if (match !== undefined) {
      this.#held = "";
      return { text: pending.slice(0, match.at), stop: match.stop };
    }
    const keep = this.#openEnding(pending);
    this.#held = keep === 0 ? "" : pending.slice(-keep);
    return { text: keep === 0 ? pending : pending.slice(0, -keep) };
  }

  /** What was held back, once no more text can come. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  #firstMatch(text: string): { readonly at: number; readonly stop: string } | undefined {
    let first: { readonly at: number; readonly stop: string } | undefined;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at >= 0 && (first === undefined || at < first.at)) first = { at, stop };
    }
    return first;
  }

  /** Length of the longest ending of `text` that a stop string begins with. */
  #openEnding(text: string): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
