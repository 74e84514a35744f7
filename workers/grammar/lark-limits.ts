/** What of a Lark grammar is not taken: tokens by name or number, which no text has, and grammars of more than so many rules. */

const mostRules = 250;
/** Outside of texts, patterns and comments: `<|im_end|>`, `<[12]>`, `<[0-9]>`. In JSON after a directive, texts are texts too. */
const lexemes = /"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|#[^\n]*|\/(?:[^/\\\n]|\\.)+\/|<[^<>\s]+>|\n\s*[?!]?[A-Za-z_]\w*(?:\[[^\]\n]*\])?\s*:/g;

/** Undefined where all of it is taken. */
export function beyondLarkLimits(grammar: string): string | undefined {
  let rules = 0;
  for (const [lexeme] of `\n${grammar}`.matchAll(lexemes)) {
    if (lexeme.startsWith("<")) return `the token ${lexeme.slice(0, 50)} cannot be named: a grammar is about text`;
    if (lexeme.startsWith("\n")) rules += 1;
  }
  return rules > mostRules ? `it may have ${String(mostRules)} rules; it has ${String(rules)}` : undefined;
}
