/**
 * Keeps control tokens spelled out in a message from becoming control tokens.
 *
 * A template mixes its own text, whose special tokens are meant, with text of the user's, whose are not. Before rendering, a character
 * that no input holds is put inside every special token in a user string, and at an end that could complete one together with the
 * template's text. After rendering only uninterrupted special tokens count, and the guard is taken out again.
 * What remains is a template that itself makes a special token out of a message: by changing letter case, by replacing what stands between
 * two halves, or by cutting a message and putting a half of its own before the cut. No template is known to.
 */
import { invalidRequest, modelInvalid } from "./failures.ts";
import { stripEnd, stripStart } from "./jinja/characters.ts";

/** Noncharacters first, since no text is meant to hold them; then the private use area. */
const candidateRanges = [
  [0xfdd0, 0xfdef],
  [0xe000, 0xf8ff],
] as const;

/** The first `count` candidates that none of the texts holds. */
export function unusedCharacters(texts: readonly string[], count: number): string[] {
  const used = new Set<number>();
  for (const text of texts) {
    for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) >= 0xe000) used.add(text.charCodeAt(index));
  }
  const found: string[] = [];
  for (const [first, last] of candidateRanges) {
    for (let code = first; code <= last && found.length < count; code++) if (!used.has(code)) found.push(String.fromCharCode(code));
  }
  if (found.length < count)
    throw invalidRequest("messages use every private-use character of the basic plane; two must be free", "messages");
  return found;
}

export class SpecialGuard {
  readonly #contents: readonly string[];

  /** `contents` are the special tokens' texts. */
  constructor(contents: readonly string[]) {
    for (const content of contents) {
      if (firstLength(content) < content.length) continue;
      throw modelInvalid(`special token ${JSON.stringify(content)} is one character; a message that holds it could not be told from it`);
    }
    this.#contents = contents;
  }

  /** `joinable`: whether the template is meant to make a special token around the text, as with `<|` role `|>`. */
  protect(text: string, guard: string, joinable = false): string {
    const positions = this.#insidePositions(text);
    if (!joinable) this.#addEnds(text, positions);
    if (positions.size === 0) return text;
    let guarded = "";
    let copied = 0;
    for (const position of [...positions].sort((left, right) => left - right)) {
      guarded += text.slice(copied, position) + guard;
      copied = position;
    }
    return guarded + text.slice(copied);
  }

  /** After the first character of every special token, those that overlap included. */
  #insidePositions(text: string): Set<number> {
    const positions = new Set<number>();
    for (const content of this.#contents) {
      for (let at = text.indexOf(content); at >= 0; at = text.indexOf(content, at + 1)) positions.add(at + firstLength(content));
    }
    return positions;
  }

  /** Templates often trim a message, so the ends of the trimmed text count as well. */
  #addEnds(text: string, positions: Set<number>): void {
    const start = text.length - stripStart(text).length;
    const end = stripEnd(text).length;
    for (const [from, to] of new Set([[0, text.length] as const, [start, Math.max(start, end)] as const])) {
      const part = text.slice(from, to);
      if (part === "") continue;
      if (this.#contents.some((content) => mayFollowBeginning(content, part))) positions.add(from);
      if (this.#contents.some((content) => mayPrecedeEnd(content, part))) positions.add(to);
    }
  }
}

/** Whether some beginning of the special token, put before the text, would complete it or leave it still to be completed. */
function mayFollowBeginning(content: string, text: string): boolean {
  for (let cut = 1; cut < content.length; cut++) if (text.startsWith(content.slice(cut)) || content.startsWith(text, cut)) return true;
  return false;
}

function mayPrecedeEnd(content: string, text: string): boolean {
  for (let cut = 1; cut < content.length; cut++) if (text.endsWith(content.slice(0, cut)) || content.endsWith(text, cut)) return true;
  return false;
}

function firstLength(text: string): number {
  return (text.codePointAt(0) ?? 0) > 0xffff ? 2 : 1;
}
