// Loaded on its own, when the first code block is finished: an answer without code never fetches it.
import highlighter from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import css from "highlight.js/lib/languages/css";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";

const languages = { bash, c, css, go, java, javascript, json, python, rust, sql, typescript, xml };

for (const [name, definition] of Object.entries(languages)) highlighter.registerLanguage(name, definition);
highlighter.registerAliases(["shell", "console"], { languageName: "bash" });
highlighter.registerAliases(["c++"], { languageName: "c" });

/** The code as HTML with classed spans, or null where the language is not known: a guess is worse than none. */
export function highlight(code: string, language: string): string | null {
  if (highlighter.getLanguage(language) === undefined) return null;
  return highlighter.highlight(code, { language, ignoreIllegals: true }).value;
}
