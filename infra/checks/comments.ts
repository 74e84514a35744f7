/** The lines of a source file that have a comment: of TypeScript by its syntax, elsewhere well enough to find what comments name. */
import ts from "typescript";
import type { Checkout } from "./checkout.ts";
import { parseScript } from "./imports.ts";

export interface Comment {
  /** A line of it. */
  readonly text: string;
  /** Counted from 1. */
  readonly line: number;
}

interface Language {
  /** What opens and closes a comment of several lines. */
  readonly block: readonly [RegExp, RegExp] | null;
  /** What begins one that ends with its line. */
  readonly line: RegExp | null;
}

const cLike: Language = { block: [/\/\*/, /\*\//], line: /(?<!:)\/\// };
const shellLike: Language = { block: null, line: /(?<![\w"'])#/ };
const python: Language = { block: [/"""/, /"""/], line: shellLike.line };
const languages: Readonly<Record<string, Language>> = {
  rs: cLike,
  ...Object.fromEntries(["toml", "sh", "yml"].map((extension) => [extension, shellLike])),
  css: { block: cLike.block, line: null },
  html: { block: [/<!--/, /-->/], line: null },
  py: python,
};

const scriptName = /\.(tsx?|mjs)$/;

/** What comments say on each of their lines, in a file that `wanted` finds anything in. */
export function commentsOf(file: string, checkout: Checkout, wanted: RegExp): Comment[] {
  const language = languages[/\.(\w+)$/.exec(file)?.[1] ?? ""];
  if (language === undefined && !scriptName.test(file)) return [];
  const source = checkout.read(file);
  if (source.search(wanted) < 0) return [];
  return language === undefined ? scriptComments(file, source) : otherComments(language, source);
}

function scriptComments(file: string, text: string): Comment[] {
  const source = parseScript(file, text);
  const ranges = new Map<number, ts.CommentRange>();
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.JsxText) return;
    const found = [...(ts.getLeadingCommentRanges(text, node.pos) ?? []), ...(ts.getTrailingCommentRanges(text, node.end) ?? [])];
    for (const range of found) ranges.set(range.pos, range);
    for (const child of node.getChildren(source)) visit(child);
  };
  visit(source);
  return [...ranges.values()].flatMap(({ pos, end }) => {
    const first = source.getLineAndCharacterOfPosition(pos).line + 1;
    return text
      .slice(pos, end)
      .split("\n")
      .map((line, index) => ({ text: line, line: first + index }));
  });
}

function otherComments(language: Language, source: string): Comment[] {
  const comments: Comment[] = [];
  let isInside = false;
  for (const [index, whole] of source.split("\n").entries()) {
    let rest = whole;
    let text = "";
    while (rest !== "") {
      if (isInside && language.block !== null) {
        const [inside, after] = splitAt(rest, language.block[1]);
        text += ` ${inside}`;
        isInside = after === null;
        rest = after ?? "";
        continue;
      }
      const [before, block] = language.block === null ? [rest, null] : splitAt(rest, language.block[0]);
      const [, line] = language.line === null ? ["", null] : splitAt(before, language.line);
      if (line !== null) {
        text += ` ${line}`;
        break;
      }
      isInside = block !== null;
      rest = block ?? "";
    }
    if (text !== "") comments.push({ text, line: index + 1 });
  }
  return comments;
}

/** What stands before and behind the first match; nothing behind where there is none. */
function splitAt(text: string, pattern: RegExp): [string, string | null] {
  const found = pattern.exec(text);
  return found === null ? [text, null] : [text.slice(0, found.index), text.slice(found.index + found[0].length)];
}
