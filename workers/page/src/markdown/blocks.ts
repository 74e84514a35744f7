import { Lexer, Marked } from "marked";
import { math } from "./math-syntax.ts";

/** What is a block is the renderer's to say, too. */
const syntax = new Marked(math);

/** A top-level Markdown block: a paragraph, a list, a table, a code block. Blocks are rendered and sanitized one by one. */
export interface Block {
  /** Markdown that means the same by itself. */
  readonly source: string;
  /** Nothing that may still arrive can change it. */
  readonly settled: boolean;
}

/** Splits a text that only ever grows, lexing no more than its unsettled end each time. */
export interface BlockSplitter {
  split(text: string, complete: boolean): readonly Block[];
}

/**
 * Text still to come can change the last block (a paragraph becomes a heading by the `===` below it) and, through it, the one before
 * (`1. a`, blank line, `2` is a list and a paragraph until the `.` arrives). So two stay open.
 */
const openBlocks = 2;

export function createBlockSplitter(): BlockSplitter {
  let settled: Block[] = [];
  let settledText = "";

  return {
    split(text, complete) {
      if (!text.startsWith(settledText)) {
        settled = [];
        settledText = "";
      }
      if (complete) return wholeText(text);
      const tail = lex(text.slice(settledText.length));
      const newlySettled = tail.slice(0, openFrom(tail));
      settled = [...settled, ...newlySettled.filter(isVisible).map((source) => ({ source, settled: true }))];
      settledText += newlySettled.join("");
      const open = tail.slice(newlySettled.length).filter(isVisible);
      return [...settled, ...open.map((source) => ({ source, settled: false }))];
    },
  };
}

/** Where the open end begins; blank lines between blocks do not count as blocks. */
function openFrom(tail: readonly string[]): number {
  const visible = [...tail.keys()].filter((index) => isVisible(tail[index] ?? ""));
  return visible.at(-openBlocks) ?? 0;
}

/** Link definitions may stand anywhere in a text, so a complete text gives each block the ones that exist. */
function wholeText(text: string): Block[] {
  const tokens = new Lexer(syntax.defaults).lex(text);
  const definitions = tokens.filter((token) => token.type === "def").map((token) => token.raw.trim());
  const suffix = definitions.length === 0 ? "" : `\n\n${definitions.join("\n")}`;
  return tokens
    .filter((token) => token.type !== "def" && isVisible(token.raw))
    .map((token) => ({ source: token.raw + suffix, settled: true }));
}

/** The raw text of each top-level token; marked normalises line ends, which would move the offsets, so callers pass text without CR. */
function lex(text: string): string[] {
  return new Lexer(syntax.defaults).blockTokens(text).map((token) => token.raw);
}

function isVisible(source: string): boolean {
  return source.trim() !== "";
}
