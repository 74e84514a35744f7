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

  /** The text that is safe to show, and whether a stop string was found right behind it. */
  push(text: string): { readonly text: string; readonly matched: boolean } {
    const pending = this.#held + text;
    const cut = this.#firstMatch(pending);
    if (cut >= 0) {
      this.#held = "";
      return { text: pending.slice(0, cut), matched: true };
    }
    const keep = this.#openEnding(pending);
    this.#held = keep === 0 ? "" : pending.slice(-keep);
    return { text: keep === 0 ? pending : pending.slice(0, -keep), matched: false };
  }

  /** What was held back, once no more text can come. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  #firstMatch(text: string): number {
    let first = -1;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at >= 0 && (first < 0 || at < first)) first = at;
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
