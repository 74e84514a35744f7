/**
 * Cuts text that arrives in chunks where its tokenization would be cut anyway, so that the parts' tokens are those of the whole text: before
 * a space that stands between two characters which are none. Text without such a place for very long is cut where it is.
 */
const longestPart = 1 << 16;

export class DocumentText {
  #pending: string;

  /** `pending` is what an earlier life had left. */
  constructor(pending: string) {
    this.#pending = pending;
  }

  /** Text that no cut was found in yet. */
  get pending(): string {
    return this.#pending;
  }

  /** What can be tokenized now; may be empty. */
  push(text: string): string {
    const all = this.#pending + text;
    const at = lastCut(all);
    const cut = at > 0 ? at : all.length > longestPart ? wholeCharacters(all) : 0;
    this.#pending = all.slice(cut);
    return all.slice(0, cut);
  }
}

function lastCut(text: string): number {
  for (let at = text.lastIndexOf(" "); at > 0; at = text.lastIndexOf(" ", at - 1)) {
    if (/\S/u.test(text[at - 1] ?? " ") && /\S/u.test(text[at + 1] ?? " ")) return at;
  }
  return 0;
}

/** Not between the halves of a surrogate pair. */
function wholeCharacters(text: string): number {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last < 0xdc00 ? text.length - 1 : text.length;
}
