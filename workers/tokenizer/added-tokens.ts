/** Finds added tokens in text: leftmost first, the longest of those that begin together. */
import { modelInvalid } from "./failures.ts";

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Control tokens are special: plain text never becomes one. */
  readonly special: boolean;
}

export interface AddedTokenMatch {
  readonly start: number;
  readonly end: number;
  readonly token: AddedToken;
}

/** Bounds the work per character, since the trie restarts at each; real tokens have at most some 40. */
const longestContentCodeUnits = 512;

interface Node {
  readonly children: Map<number, Node>;
  token: AddedToken | undefined;
}

export class AddedTokenFinder {
  readonly #root: Node = { children: new Map(), token: undefined };
  /** Non-zero for the code units that tokens begin with; most text is passed over by it alone. */
  readonly #beginnings: Uint8Array;

  constructor(tokens: Iterable<AddedToken>) {
    for (const token of tokens) {
      const { length } = token.content;
      if (length === 0 || length > longestContentCodeUnits) {
        throw modelInvalid(
          `tokenizer: added token ${String(token.id)} has ${String(length)} code units; 1 to ${String(longestContentCodeUnits)} are allowed`,
        );
      }
      let node = this.#root;
      for (let index = 0; index < length; index++) node = childOf(node, token.content.charCodeAt(index));
      node.token = token;
    }
    const units = [...this.#root.children.keys()];
    this.#beginnings = new Uint8Array(Math.max(0, ...units.map((unit) => unit + 1)));
    for (const unit of units) this.#beginnings[unit] = 1;
  }

  /** The first match at or after `from`. */
  next(text: string, from: number): AddedTokenMatch | undefined {
    const beginnings = this.#beginnings;
    const end = beginnings.length === 0 ? 0 : text.length;
    for (let start = from; start < end; start++) {
      if (!beginnings[text.charCodeAt(start)]) continue;
      const match = this.#longestAt(text, start);
      if (match) return match;
    }
    return undefined;
  }

  #longestAt(text: string, start: number): AddedTokenMatch | undefined {
    let longest: AddedTokenMatch | undefined;
    let node = this.#root.children.get(text.charCodeAt(start));
    for (let end = start + 1; node; end++) {
      if (node.token) longest = { start, end, token: node.token };
      node = node.children.get(text.charCodeAt(end));
    }
    return longest;
  }
}

function childOf(node: Node, unit: number): Node {
  let child = node.children.get(unit);
  if (!child) {
    child = { children: new Map(), token: undefined };
    node.children.set(unit, child);
  }
  return child;
}
