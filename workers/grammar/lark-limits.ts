/** What of a Lark grammar is not taken: tokens by name or number, which no text has, grammars of more than so many rules, and schemas beyond theirs. */
import { parseExact } from "../encoding/exact-json.ts";
import { beyondLimits } from "./schema-limits.ts";

const mostRules = 250;
const mostSchemas = 250;
/** Outside of texts, patterns and comments: `<|im_end|>`, `<[12]>`, `<[0-9]>`, `%json`. */
const lexemes =
  /"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|#[^\n]*|\/(?:[^/\\\n]|\\.)+\/|%json\b|<[^<>\s]+>|\n\s*[?!]?[A-Za-z_]\w*(?:\[[^\]\n]*\])?\s*:/g;

/** Undefined where all of it is taken. */
export function beyondLarkLimits(grammar: string): string | undefined {
  const text = `\n${grammar}`;
  let rules = 0;
  let schemas = 0;
  const lexer = new RegExp(lexemes);
  for (let match = lexer.exec(text); match !== null; match = lexer.exec(text)) {
    const [lexeme] = match;
    if (lexeme.startsWith("<")) return `the token ${lexeme.slice(0, 50)} cannot be named: a grammar is about text`;
    if (lexeme.startsWith("\n")) rules += 1;
    if (lexeme !== "%json") continue;
    schemas += 1;
    const end = valueEnd(text, lexer.lastIndex);
    const beyond =
      schemas > mostSchemas ? `it may have ${String(mostSchemas)} schemas` : beyondSchemaLimits(text.slice(lexer.lastIndex, end));
    if (beyond !== undefined) return beyond;
    lexer.lastIndex = end;
  }
  return rules > mostRules ? `it may have ${String(mostRules)} rules; it has ${String(rules)}` : undefined;
}

/** The schemas in a grammar that is within its limits, without the library's options. */
export function schemasIn(grammar: string): readonly string[] {
  const schemas: string[] = [];
  const lexer = new RegExp(lexemes);
  for (let match = lexer.exec(grammar); match !== null; match = lexer.exec(grammar)) {
    if (match[0] !== "%json") continue;
    const end = valueEnd(grammar, lexer.lastIndex);
    const schema = parseExact(grammar.slice(lexer.lastIndex, end)) as object;
    schemas.push(JSON.stringify({ ...schema, "x-guidance": undefined }));
    lexer.lastIndex = end;
  }
  return schemas;
}

/** How white space between values is written is taken of the library's options, and no other. */
const options: readonly string[] = ["whitespace_flexible", "item_separator", "key_separator"];

function beyondSchemaLimits(json: string): string | undefined {
  let schema: unknown;
  try {
    schema = parseExact(json);
  } catch {
    return "what follows '%json' is not JSON";
  }
  if (typeof schema !== "object" || schema === null || !("x-guidance" in schema)) return beyondLimits(schema);
  const { "x-guidance": given, ...rest } = schema;
  const isTaken = typeof given === "object" && given !== null && Object.keys(given).every((name) => options.includes(name));
  return isTaken ? beyondLimits(rest) : "the keyword 'x-guidance' is not supported";
}

/** Of the value of JSON that begins there, after white space: an object, or a word. */
function valueEnd(text: string, start: number): number {
  let depth = 0;
  const parts = /"(?:[^"\\]|\\.)*"|[[\]{}]|[^\s[\]{}"]+/g;
  parts.lastIndex = start;
  for (let match = parts.exec(text); match !== null; match = parts.exec(text)) {
    if (/^[[{]/.test(match[0])) depth += 1;
    else if (/^[\]}]/.test(match[0])) depth -= 1;
    if (depth <= 0) return parts.lastIndex;
  }
  return text.length;
}
