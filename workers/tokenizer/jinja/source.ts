/**
 * A template's text and tags, as Jinja2 cuts them with `trim_blocks` and `lstrip_blocks`.
 *
 * Works around `@huggingface/jinja` 0.5.11, whose lexer keeps CRLF, trims by expressions that also see into strings and comments, and knows
 * neither `{% raw %}` nor `{%+`.
 */
import { isSpace, stripEnd, stripStart } from "./characters.ts";
import { TemplateError } from "./values.ts";

export type Part =
  { readonly kind: "text"; readonly text: string } | { readonly kind: "statement" | "expression"; readonly inside: string };

const openings: Readonly<Record<string, "statement" | "expression" | "comment">> = {
  "{%": "statement",
  "{{": "expression",
  "{#": "comment",
};
/** transformers marks answers with it for training; rendering passes over it. */
const passedOver = new Set(["generation", "endgeneration"]);

export function partsOf(source: string): Part[] {
  const text = source.replace(/\r\n?/g, "\n").replace(/\n$/, "");
  const parts: Part[] = [];
  let at = 0;
  /** White space behind a tag that ended in `-`. */
  let strips = false;
  const push = (part: string): void => {
    if (part !== "") parts.push({ kind: "text", text: part });
  };
  while (at < text.length) {
    const open = nextOpening(text, at);
    const [sign] = open < text.length ? (/^[-+]?/.exec(text.slice(open + 2, open + 3)) ?? [""]) : [""];
    const kind = openings[text.slice(open, open + 2)];
    const before = text.slice(at, open);
    const lineStarts = at === 0 || text[at - 1] === "\n";
    const kept = kind === undefined ? before : stripBefore(before, kind, sign, lineStarts && !strips);
    push(strips ? stripStart(kept) : kept);
    if (kind === undefined) break;
    const begin = open + 2 + sign.length;
    const end = kind === "comment" ? commentEnd(text, begin) : tagEnd(text, begin, kind);
    strips = end.sign === "-";
    at = end.after;
    if (kind !== "expression" && end.sign === "" && text[at] === "\n") at++;
    const inside = text.slice(begin, end.at);
    if (kind === "comment") continue;
    if (kind === "statement" && inside.trim() === "raw") {
      const raw = rawEnd(text, end.sign === "" ? end.after : at);
      const content = text.slice(end.after, raw.at);
      push(strips ? stripStart(raw.sign === "-" ? stripEnd(content) : content) : stripBefore(content, "statement", raw.sign, false));
      ({ after: at, strips } = raw);
    } else if (kind === "expression" || !passedOver.has(inside.trim())) parts.push({ kind, inside });
  }
  return parts;
}

function nextOpening(text: string, from: number): number {
  for (let at = text.indexOf("{", from); at >= 0; at = text.indexOf("{", at + 1))
    if (Object.hasOwn(openings, text.slice(at, at + 2))) return at;
  return text.length;
}

/** `{%-` takes all white space before it; a block or comment alone on its line, unless it begins with `+`, that of the line. */
function stripBefore(before: string, kind: string, sign: string, lineStarts: boolean): string {
  if (sign === "-") return stripEnd(before);
  if (kind === "expression" || sign === "+") return before;
  const line = before.lastIndexOf("\n") + 1;
  return (line > 0 || lineStarts) && isSpace(before.slice(line)) ? before.slice(0, line) : before;
}

interface End {
  readonly at: number;
  readonly after: number;
  readonly sign: string;
}

function commentEnd(text: string, from: number): End {
  const close = text.indexOf("#}", from);
  if (close < 0) throw new TemplateError("a comment has no end");
  const sign = close > from && /[-+]/.test(text.charAt(close - 1)) ? text.charAt(close - 1) : "";
  return { at: close - sign.length, after: close + 2, sign };
}

/** Outside of strings and brackets. */
function tagEnd(text: string, from: number, kind: "statement" | "expression"): End {
  const close = kind === "statement" ? "%}" : "}}";
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const character = text.charAt(at);
    if (depth === 0) {
      if (text.startsWith(close, at)) return { at, after: at + 2, sign: "" };
      const signed = character === "-" || (character === "+" && kind === "statement");
      if (signed && text.startsWith(close, at + 1)) return { at, after: at + 3, sign: character };
    }
    if (character === "'" || character === '"') at = stringEnd(text, at);
    else if ("([{".includes(character)) depth++;
    else if (")]}".includes(character)) depth--;
  }
  throw new TemplateError(`a tag has no end: ${JSON.stringify(text.slice(from - 2, from + 40))}`);
}

/** Where the string's closing quote stands. */
export function stringEnd(text: string, from: number): number {
  const quote = text[from];
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === quote) return at;
  }
  throw new TemplateError(`a string has no end: ${JSON.stringify(text.slice(from, from + 40))}`);
}

function rawEnd(
  text: string,
  from: number,
): { readonly at: number; readonly after: number; readonly sign: string; readonly strips: boolean } {
  const match = /\{%([-+]?)\s*endraw\s*([-+]?)%\}(\n?)/g;
  match.lastIndex = from;
  const found = match.exec(text);
  if (!found) throw new TemplateError("a raw block has no end");
  const [whole, sign = "", closing = "", line = ""] = found;
  return { at: found.index, after: found.index + whole.length - (closing === "" ? 0 : line.length), sign, strips: closing === "-" };
}
