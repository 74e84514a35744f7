/** Where an object of JSON ends in text that arrives in deltas, each character of which is looked at once. */
export class JsonValueEnd {
  #depth = 0;
  #inText = false;
  #isEscaped = false;

  /** How many of these characters belong to it; undefined where all do, and more are to come. The first of all is its brace. */
  push(text: string): number | undefined {
    for (let at = 0; at < text.length; at++) {
      const character = text[at];
      if (this.#inText) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (character === "\\") this.#isEscaped = true;
        else if (character === '"') this.#inText = false;
      } else if (character === '"') this.#inText = true;
      else if (character === "{" || character === "[") this.#depth++;
      else if (character === "}" || character === "]") this.#depth--;
      if (this.#depth <= 0 && !this.#inText) return at + 1;
    }
    return undefined;
  }
}
