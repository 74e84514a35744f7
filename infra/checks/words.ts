/** No text uses a word of the glossary for what it is not, as far as `glossary.ts` knows: in names, comments, messages and documents alike. */
import { type Checkout, isWithin, type Problem } from "./checkout.ts";
import { isTable, placedTokens, plainText } from "./markdown.ts";

/**
 * Uses of a word that are wrong. A text is read as words of lower-case letters with one space between any two, also across lines, so that
 * `stateFile`, `STATE_FILE`, `state-file` and "state file" are the same; "session's" is "session s".
 */
export interface Misuse {
  /** The word that its rule is about, as the glossary has it. */
  readonly word: string;
  readonly wrong: RegExp;
  /** What looks wrong and is right: it is taken out of the text first. */
  readonly right?: RegExp;
  /** Folders and files, from the root, that it is about; all unless given. */
  readonly within?: readonly string[];
  /** Folders and files, from the root, that it is not about. */
  readonly except?: readonly string[];
  /** What the words mean that can be written in its place. */
  readonly write: string;
}

const glossaryFile = "ARCHITECTURE.md";
const heading = "Words";
const checkedText = /\.(tsx?|m?js|py|rs|md|toml|css|html|yml|sh)$/;
const wordPattern = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g;

/** `unchecked`: folders and files that nobody writes by hand, or that tell of misuses. */
export function checkWords(checkout: Checkout, misuses: readonly Misuse[], unchecked: readonly string[]): Problem[] {
  const isOf = (file: string, paths: readonly string[]): boolean => paths.some((path) => isWithin(file, path));
  const problems = missingWords(checkout.read(glossaryFile), misuses);
  for (const file of checkout.files) {
    if (!checkedText.test(file) || isOf(file, unchecked)) continue;
    const about = misuses.filter(({ within, except = [] }) => (within === undefined || isOf(file, within)) && !isOf(file, except));
    if (about.length === 0) continue;
    const text = readAsWords(file === glossaryFile ? withoutGlossary(checkout.read(file)) : checkout.read(file));
    for (const { word, wrong, right, write } of about) {
      const judged = right === undefined ? text.words : text.words.replace(everyOne(right), (found) => "·".repeat(found.length));
      for (const found of judged.matchAll(everyOne(wrong))) {
        const message = `"${found[0]}" is not what ${glossaryFile}'s glossary has for "${word}"; write ${write}`;
        problems.push({ file, line: text.lineAt(found.index), message });
      }
    }
  }
  return problems;
}

/** Rules and glossary stay together: a rule is about a word that is defined. */
function missingWords(glossary: string, misuses: readonly Misuse[]): Problem[] {
  const [section] = sectionOf(glossary);
  const defined = new Set(
    placedTokens(section).flatMap(({ token }) =>
      isTable(token) ? token.rows.map(([cell]) => cell?.tokens.map(plainText).join("") ?? "") : [],
    ),
  );
  return [...new Set(misuses.map(({ word }) => word))]
    .filter((word) => !defined.has(word))
    .map((word) => ({ file: glossaryFile, line: 1, message: `must define "${word}" in a table under the heading "${heading}"` }));
}

function withoutGlossary(text: string): string {
  const [section, from] = sectionOf(text);
  return text.slice(0, from) + section.replace(/[^\n]/g, "") + text.slice(from + section.length);
}

/** The glossary's section, and where it begins. */
function sectionOf(text: string): [section: string, from: number] {
  const from = text.search(new RegExp(`^## ${heading}$`, "m"));
  if (from < 0) return ["", 0];
  const length = text.slice(from + 1).search(/^## /m);
  return [length < 0 ? text.slice(from) : text.slice(from, from + 1 + length), from];
}

function readAsWords(text: string): { readonly words: string; lineAt(position: number): number } {
  const starts: number[] = [];
  const lines: number[] = [];
  let words = "";
  for (const [index, line] of text.split("\n").entries()) {
    for (const [word] of line.matchAll(wordPattern)) {
      starts.push(words.length);
      lines.push(index + 1);
      words += `${word.toLowerCase()} `;
    }
  }
  return {
    words,
    lineAt: (position) => lines[starts.findLastIndex((start) => start <= position)] ?? 1,
  };
}

function everyOne({ source }: RegExp): RegExp {
  return new RegExp(`\\b(?:${source})\\b`, "g");
}
