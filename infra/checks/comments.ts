/** The lines of a source file that have a comment. It is enough for finding what comments cite, and reads a URL in a string as none. */

interface Language {
  /** What opens and closes a comment of several lines. */
  readonly block: readonly [RegExp, RegExp] | null;
  /** What begins one that ends with its line. */
  readonly line: RegExp | null;
}

const C_LIKE: Language = { block: [/\/\*/, /\*\//], line: /(?<!:)\/\// };
const SHELL_LIKE: Language = { block: null, line: /(?<![\w"'])#/ };
const PYTHON: Language = { block: [/"""/, /"""/], line: SHELL_LIKE.line };
const LANGUAGES: Readonly<Record<string, Language>> = {
  ...Object.fromEntries(["ts", "tsx", "mjs", "js", "rs"].map((extension) => [extension, C_LIKE])),
  ...Object.fromEntries(["toml", "sh", "yml"].map((extension) => [extension, SHELL_LIKE])),
  css: { block: C_LIKE.block, line: null },
  html: { block: [/<!--/, /-->/], line: null },
  py: PYTHON,
};

/** How comments are written in a file of this name; null where there are none. */
export function languageOf(file: string): Language | null {
  const extension = /\.(\w+)$/.exec(file)?.[1];
  return extension === undefined ? null : (LANGUAGES[extension] ?? null);
}

/** What comments say on each of their lines, counted from 1. */
export function commentsOf(file: string, source: string): { text: string; line: number }[] {
  const language = languageOf(file);
  if (language === null) return [];
  const comments: { text: string; line: number }[] = [];
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
