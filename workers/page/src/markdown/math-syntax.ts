/** Maths in Markdown: what stands between its delimiters is TeX, in which Markdown's own signs mean nothing. */
import type { MarkedExtension, Tokens } from "marked";
import { escapeHtml } from "./escape.ts";

/** Longer formulas are text; it also bounds what an opening delimiter without its end costs. */
const longest = 2_000;
/** A formula has no blank line: one that is not closed must not take in the rest of the answer. */
const tex = `(?:(?!\\n[ \\t]*\\n)[^]){1,${longest}}?`;
const display = `\\$\\$${tex}\\$\\$|\\\\\\[${tex}\\\\\\]`;
/** As Pandoc has it, so that prices are none: no space inside the dollars, no digit behind the last. */
const dollars = `\\$(?![\\s$])(?:\\\\[^\\n]|[^$\\\\]){1,${longest}}?(?<!\\s)\\$(?![\\d$])`;
const inline = `${display}|\\\\\\(${tex}\\\\\\)|${dollars}`;

const blockRule = new RegExp(`^ {0,3}(${display})[ \\t]*(?:\\n+|$)`);
const inlineRule = new RegExp(`^(?:${inline})`);
const anywhere = new RegExp(inline, "g");

interface MathToken extends Tokens.Generic {
  /** With its delimiters. */
  readonly text: string;
}

const html = ({ text }: MathToken) => `<span class="${isDisplay(text) ? "math math-display" : "math"}">${escapeHtml(text)}</span>`;

export const math: MarkedExtension = {
  extensions: [
    {
      name: "mathBlock",
      level: "block",
      start: (source) => /\n {0,3}(?:\$\$|\\\[)/.exec(source)?.index,
      tokenizer(source) {
        const match = blockRule.exec(source);
        return match === null ? undefined : { type: "mathBlock", raw: match[0], text: match[1] ?? "" };
      },
      renderer: (token) => `<p>${html(token as MathToken)}</p>\n`,
    },
    {
      name: "mathInline",
      level: "inline",
      start: (source) => /\$|\\[([]/.exec(source)?.index,
      tokenizer(source) {
        const match = inlineRule.exec(source);
        return match === null ? undefined : { type: "mathInline", raw: match[0], text: match[0] };
      },
      renderer: (token) => html(token as MathToken),
    },
  ],
  hooks: {
    // An asterisk or underscore inside of a formula closes no emphasis that was opened before it.
    emStrongMask: (source: string) => source.replace(anywhere, (formula) => "a".repeat(formula.length)),
  },
};

/** Whether a formula with its delimiters stands on a line of its own. */
export function isDisplay(formula: string): boolean {
  return formula.startsWith("$$") || formula.startsWith("\\[");
}

/** The TeX between the delimiters. */
export function texOf(formula: string): string {
  const length = formula.startsWith("$") && !isDisplay(formula) ? 1 : 2;
  return formula.slice(length, -length);
}
