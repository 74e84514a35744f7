/** A Markdown file's parts that checks look at, each with its line. */
import { lexer, type Token, type Tokens } from "marked";

export interface Placed<T> {
  readonly token: T;
  readonly line: number;
}

/** Every token with its line, parents before their children, in the order of the text. */
export function placedTokens(text: string): Placed<Token>[] {
  const placed: Placed<Token>[] = [];
  const place = (tokens: readonly Token[], from: number, to: number): void => {
    let cursor = from;
    for (const token of tokens) {
      const at = text.indexOf(token.raw, cursor);
      // An indented or quoted block's tokens lack what stood before each of their lines, and are at the earliest where the last one ended.
      const found = at >= 0 && at + token.raw.length <= to;
      const start = found ? at : cursor;
      placed.push({ token, line: lineAt(text, start) });
      place(childrenOf(token), start, found ? start + token.raw.length : to);
      if (found) cursor = start + token.raw.length;
    }
  };
  place(lexer(text), 0, text.length);
  return placed;
}

export function isTable(token: Token): token is Tokens.Table {
  return token.type === "table";
}

/** The anchors of a text's headings, as GitHub makes them. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const { token } of placedTokens(text)) {
    if (token.type !== "heading") continue;
    const slug = slugOf(plainText(token));
    let anchor = slug;
    for (let repeat = 1; anchors.has(anchor); repeat++) anchor = `${slug}-${repeat}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** GitHub's anchor of a heading: letters, digits, `_` and `-` in lower case, and a hyphen for each space. */
function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, "")
    .replaceAll(" ", "-");
}

/** What a reader sees of a token. */
export function plainText(token: Token): string {
  const children = childrenOf(token);
  if (children.length > 0) return children.map(plainText).join("");
  return "text" in token && typeof token.text === "string" ? token.text : "";
}

function childrenOf(token: Token): readonly Token[] {
  if (isTable(token)) return [token.header, ...token.rows].flat().flatMap((cell) => cell.tokens);
  if (token.type === "list") return (token as Tokens.List).items;
  return "tokens" in token && Array.isArray(token.tokens) ? token.tokens : [];
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", at + 1)) line++;
  return line;
}
