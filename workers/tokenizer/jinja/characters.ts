/** What Python's `str` counts as white space, a line's end, a letter, and a title's case. */

/** Beside JavaScript's white space, four separators and NEL; U+FEFF is none. */
const space = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const spaces = new RegExp(`[${space}]+`);
const leading = new RegExp(`^[${space}]+`);
const onlySpaces = new RegExp(`^[${space}]+$`);
const lineEnds = /\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/g;

export function stripStart(text: string, chars?: string): string {
  if (chars === undefined) return text.replace(leading, "");
  const all = new Set(Array.from(chars));
  let start = 0;
  for (const character of text) {
    if (!all.has(character)) break;
    start += character.length;
  }
  return text.slice(start);
}

export function stripEnd(text: string, chars?: string): string {
  if (chars === undefined) {
    let end = text.length;
    while (end > 0 && onlySpaces.test(text.charAt(end - 1))) end--;
    return text.slice(0, end);
  }
  const all = new Set(Array.from(chars));
  const characters = Array.from(text);
  let end = characters.length;
  while (end > 0 && all.has(characters[end - 1] ?? "")) end--;
  return characters.slice(0, end).join("");
}

export function strip(text: string, chars?: string): string {
  return stripEnd(stripStart(text, chars), chars);
}

export function isSpace(text: string): boolean {
  return onlySpaces.test(text);
}

/** Words between white space; from the `limit`th on the rest is one. */
export function words(text: string, limit: number): string[] {
  const found: string[] = [];
  let rest = stripStart(text);
  while (rest !== "") {
    const match = spaces.exec(rest);
    if (found.length === limit || !match) {
      found.push(rest);
      break;
    }
    found.push(rest.slice(0, match.index));
    rest = rest.slice(match.index + match[0].length);
  }
  return found;
}

export function lines(text: string, keepEnds = false): string[] {
  const found: string[] = [];
  let start = 0;
  for (const match of text.matchAll(lineEnds)) {
    const end = match.index + match[0].length;
    found.push(text.slice(start, keepEnds ? end : match.index));
    start = end;
  }
  if (start < text.length) found.push(text.slice(start));
  return found;
}

export function isCased(character: string): boolean {
  return /\p{Cased}/u.test(character);
}

const digraphs: Readonly<Record<string, string>> = {
  Ǆ: "ǅ",
  ǅ: "ǅ",
  ǆ: "ǅ",
  Ǉ: "ǈ",
  ǈ: "ǈ",
  ǉ: "ǈ",
  Ǌ: "ǋ",
  ǋ: "ǋ",
  ǌ: "ǋ",
  Ǳ: "ǲ",
  ǲ: "ǲ",
  ǳ: "ǲ",
};

/** One character as the first of a title's word; a Georgian letter stays as it is. */
export function titleCase(character: string): string {
  if (/[\u10d0-\u10ff]/.test(character)) return character;
  const [first = "", ...rest] = Array.from(digraphs[character] ?? character.toUpperCase());
  return first + rest.join("").toLowerCase();
}

export function capitalize(text: string): string {
  const [first = ""] = Array.from(text.slice(0, 2));
  return titleCase(first) + text.slice(first.length).toLowerCase();
}

export function title(text: string): string {
  let afterCased = false;
  let made = "";
  for (const character of text) {
    made += afterCased ? character.toLowerCase() : titleCase(character);
    afterCased = isCased(character);
  }
  return made;
}
