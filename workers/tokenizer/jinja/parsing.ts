/**
 * A template's syntax tree, by the parser of `@huggingface/jinja`.
 *
 * Works around faults of its version 0.5.11: strings lose Python's escapes, tests take no argument. Where its grammar is another than Jinja2's
 * and can't be mended here, the compiler refuses the tree.
 */
import { parse, tokenize } from "@huggingface/jinja";
import { partsOf, stringEnd } from "./source.ts";
import type { Node } from "./tree.ts";
import { TemplateError } from "./values.ts";

type Token = ReturnType<typeof tokenize>[number];
type Type = Token["type"];

/** What names a test that was turned into a filter; no filter's name has a space. */
export const testPrefix = "is ";
export const notTestPrefix = "is not ";

export function parseTemplate(source: string): readonly Node[] {
  const tokens = partsOf(source).flatMap((part) => {
    if (part.kind === "text") return [token(part.text, "Text")];
    const [open, close] = part.kind === "statement" ? ["{%", "%}"] : ["{{", "}}"];
    return withoutChains(testsAsFilters(tagTokens(part.inside, open, close)));
  });
  try {
    return parse(tokens).body as unknown as readonly Node[];
  } catch (cause) {
    if (cause instanceof TypeError) throw new TemplateError("a block has no end", { cause });
    throw cause;
  }
}

/** The parser reads no more of a token, whose class is not exported. */
const token = (value: string, type: Type): Token => Object.freeze({ value, type });

/** The lexer sees strings as their numbers only, so that it can't see into them. */
function tagTokens(inside: string, open: string, close: string): Token[] {
  const strings: string[] = [];
  let masked = "";
  let copied = 0;
  for (let at = 0; at < inside.length; at++) {
    if (inside[at] !== "'" && inside[at] !== '"') continue;
    const end = stringEnd(inside, at);
    masked += `${inside.slice(copied, at)}"${String(strings.length)}"`;
    strings.push(unescape(inside.slice(at + 1, end)));
    copied = end + 1;
    at = end;
  }
  masked += inside.slice(copied);
  if (masked.includes("\\")) throw new TemplateError(`unexpected character '\\' in ${JSON.stringify(inside.slice(0, 40))}`);
  const tokens = tokenize(`${open} ${masked} ${close}`);
  return tokens.map((one) => (one.type === "StringLiteral" ? token(strings[Number(one.value)] ?? "", one.type) : one));
}

const simpleEscapes: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** Python's escapes; a backslash before any other character stays. */
function unescape(text: string): string {
  return text.replace(/\\(x[\da-f]{2}|u[\da-f]{4}|U[\da-f]{8}|[0-7]{1,3}|[\s\S])/gi, (whole, code: string) => {
    const kind = code.charAt(0);
    if (/[0-7]/.test(kind)) return String.fromCharCode(parseInt(code, 8));
    const simple = Object.hasOwn(simpleEscapes, code) ? simpleEscapes[code] : undefined;
    if (simple !== undefined) return simple;
    const value = code.length > 1 && "xuU".includes(kind) ? parseInt(code.slice(1), 16) : NaN;
    if (value <= 0x10ffff) return String.fromCodePoint(value);
    if ("xuUN".includes(kind)) throw new TemplateError(`the escape ${whole} in ${JSON.stringify(text.slice(0, 40))} is not served`);
    return whole;
  });
}

/** `x is [not] NAME [argument]` becomes `x | "is NAME"(argument)`, which binds alike and may have arguments. */
function testsAsFilters(tokens: readonly Token[]): Token[] {
  const made: Token[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const one = tokens[at];
    if (!one) break;
    if (!isWord(one, "is") || isDot(tokens[at - 1])) {
      made.push(one);
      continue;
    }
    const negated = isWord(tokens[at + 1], "not");
    at += negated ? 2 : 1;
    const name = tokens[at];
    if (name?.type !== "Identifier") throw new TemplateError("'is' goes before the name of a test");
    made.push(token("|", "Pipe"), token((negated ? notTestPrefix : testPrefix) + name.value, "Identifier"));
    const length = argumentLength(tokens, at + 1);
    if (length === 0) continue;
    made.push(token("(", "OpenParen"), ...testsAsFilters(tokens.slice(at + 1, at + 1 + length)), token(")", "CloseParen"));
    at += length;
  }
  return made;
}

const operatorWords = new Set(["else", "or", "and", "is", "if", "not", "in"]);

/** Of an argument without parentheses: a literal, a name with what hangs on it, or a list. */
function argumentLength(tokens: readonly Token[], from: number): number {
  const first = tokens[from];
  const isName = first?.type === "Identifier" && !operatorWords.has(first.value);
  if (!isName && first?.type !== "StringLiteral" && first?.type !== "NumericLiteral" && first?.type !== "OpenSquareBracket") return 0;
  let at = first.type === "OpenSquareBracket" ? from : from + 1;
  for (;;) {
    if (isDot(tokens[at])) at += 2;
    else if (tokens[at]?.type === "OpenSquareBracket" || (tokens[at]?.type === "OpenParen" && isName)) at = closing(tokens, at) + 1;
    else return at - from;
  }
}

function closing(tokens: readonly Token[], from: number): number {
  let depth = 0;
  for (let at = from; at < tokens.length; at++) {
    const type = tokens[at]?.type ?? "";
    if (type.startsWith("Open")) depth++;
    if (type.startsWith("Close") && --depth === 0) return at;
  }
  throw new TemplateError("a bracket has no end");
}

/** `a < b < c` is two comparisons in Jinja2, but `(a < b) < c` to the parser, which keeps no parentheses. */
function withoutChains(tokens: readonly Token[]): readonly Token[] {
  const compared: boolean[] = [];
  let isTarget = isWord(tokens[1], "for");
  for (const [at, one] of tokens.entries()) {
    if (one.type.startsWith("Open")) compared.push(false);
    else if (one.type.startsWith("Close")) compared.pop();
    else if (separators.has(one.value) && one.type !== "StringLiteral" && !(isWord(one, "not") && isWord(tokens[at + 1], "in")))
      compared[compared.length - 1] = false;
    else if (one.type === "ComparisonBinaryOperator" || (isWord(one, "in") && !isTarget)) {
      if (compared.at(-1) === true) throw new TemplateError(`a comparison of a comparison, with '${one.value}', is not served`);
      compared[compared.length - 1] = true;
    } else if (isWord(one, "in")) isTarget = false;
  }
  return tokens;
}

const separators = new Set(["and", "or", "not", "if", "else", ",", ":", "="]);

function isWord(one: Token | undefined, word: string): boolean {
  return one?.type === "Identifier" && one.value === word;
}

function isDot(one: Token | undefined): boolean {
  return one?.type === "Dot";
}
