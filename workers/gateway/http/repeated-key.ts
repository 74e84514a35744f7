/**
 * Finds a key that an object of a JSON text has more than once: `JSON.parse` keeps the last value and says nothing of the others.
 * A body has one in error only, so whether there is one is found by counting; where it is, only then.
 */

const quote = '"';
const backslash = 92;
const colon = 58;
const whitespace: ReadonlySet<number> = new Set([32, 9, 10, 13]);

/** An object or array around a place in a text: the keys that came so far, none in an array, and the one or the index of that place. */
interface Container {
  readonly keys: Set<string> | null;
  step: string | number;
}

/** The path of such a key, or undefined where there is none; `value` is what `JSON.parse` made of `text`. */
export function repeatedKey(text: string, value: unknown): readonly (string | number)[] | undefined {
  return countMembers(text) === countKeys(value) ? undefined : locate(text);
}

function countMembers(text: string): number {
  let count = 0;
  for (let start = text.indexOf(quote); start >= 0;) {
    const end = endOfString(text, start);
    if (isKey(text, end)) count++;
    start = text.indexOf(quote, end + 1);
  }
  return count;
}

/** The next quote that an even number of backslashes stands before. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf(quote, start + 1); ; end = text.indexOf(quote, end + 1)) {
    let first = end;
    while (text.charCodeAt(first - 1) === backslash) first--;
    if ((end - first) % 2 === 0) return end;
  }
}

/** Whether a colon follows the string that ends there. */
function isKey(text: string, end: number): boolean {
  let next = end + 1;
  while (whitespace.has(text.charCodeAt(next))) next++;
  return text.charCodeAt(next) === colon;
}

/** Without recursion: bodies may be nested deeper than a call stack is. */
function countKeys(value: unknown): number {
  let count = 0;
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== "object" || next === null) continue;
    const items: readonly unknown[] = Array.isArray(next) ? next : Object.values(next);
    if (!Array.isArray(next)) count += items.length;
    for (const item of items) if (typeof item === "object") open.push(item);
  }
  return count;
}

function locate(text: string): readonly (string | number)[] | undefined {
  const open: Container[] = [];
  for (let at = 0; at < text.length; at++) {
    const inner = open.at(-1);
    switch (text.charAt(at)) {
      case "{":
        open.push({ keys: new Set(), step: "" });
        break;
      case "[":
        open.push({ keys: null, step: 0 });
        break;
      case "}":
      case "]":
        open.pop();
        break;
      case ",":
        if (typeof inner?.step === "number") inner.step++;
        break;
      case quote: {
        const end = endOfString(text, at);
        if (inner?.keys && isKey(text, end)) {
          inner.step = JSON.parse(text.slice(at, end + 1)) as string;
          if (inner.keys.has(inner.step)) return open.map(({ step }) => step);
          inner.keys.add(inner.step);
        }
        at = end;
        break;
      }
      default:
    }
  }
  return undefined;
}
