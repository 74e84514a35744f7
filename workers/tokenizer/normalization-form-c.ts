/**
 * Unicode NFC as Hugging Face `tokenizers` does it, over its tables.
 *
 * `String.prototype.normalize` follows the runtime's Unicode version, not theirs, and takes quadratic time on alternating combining
 * marks: half a megabyte of those would hold a Worker for a minute. It is only asked here how single code points come apart,
 * which no later Unicode version may change.
 */
import { type CodePointTable, expandRuns, lazily } from "./code-point-table.ts";
import { combiningRankRuns, decompositionRuns } from "./unicode-classes.ts";

/** No code point below it changes anything or is changed. */
const firstActive = 0x300;
/** `decompositionRuns`: taken apart and put together again. */
const composes = 2;

const hangulBase = 0xac00;
const leadingBase = 0x1100;
const vowelBase = 0x1161;
const trailingBase = 0x11a7;
const leadingCount = 19;
const vowelCount = 21;
const trailingCount = 28;
const syllableCount = leadingCount * vowelCount * trailingCount;
const codePointUnit = 0x110000;

interface Tables {
  /** 0 for a starter, otherwise the order of its combining class. */
  readonly ranks: CodePointTable;
  readonly decompositions: ReadonlyMap<number, readonly number[]>;
  /** By `first * codePointUnit + second`. */
  readonly compositions: ReadonlyMap<number, number>;
  /** Non-zero where a code point is changed, or changes or joins what is before it. */
  readonly active: Uint8Array;
}

const tables = lazily(buildTables);

export function normalizeFormC(text: string): string {
  let first = 0;
  while (first < text.length && text.charCodeAt(first) < firstActive) first++;
  if (first === text.length) return text;
  const { active } = tables();
  let result = "";
  let copied = 0;
  let previous = Math.max(0, first - 1);
  let position = first;
  while (position < text.length) {
    const code = text.codePointAt(position) ?? 0;
    if (!active[code]) {
      previous = position;
      position += code > 0xffff ? 2 : 1;
      continue;
    }
    let end = position;
    for (let inside = code; active[inside]; inside = text.codePointAt(end) ?? 0) end += inside > 0xffff ? 2 : 1;
    const start = Math.max(previous, copied);
    result += text.slice(copied, start) + normalizeRun(text.slice(start, end));
    copied = position = previous = end;
  }
  return result + text.slice(copied);
}

function normalizeRun(run: string): string {
  const decomposed: number[] = [];
  for (const character of run) decompose(character.codePointAt(0) ?? 0, decomposed);
  sortMarks(decomposed);
  const composed = compose(decomposed);
  let text = "";
  for (const code of composed) text += String.fromCodePoint(code);
  return text;
}

function decompose(code: number, output: number[]): void {
  const syllable = code - hangulBase;
  if (syllable >= 0 && syllable < syllableCount) {
    const trailing = syllable % trailingCount;
    const pair = (syllable - trailing) / trailingCount;
    output.push(leadingBase + Math.floor(pair / vowelCount), vowelBase + (pair % vowelCount));
    if (trailing > 0) output.push(trailingBase + trailing);
    return;
  }
  const parts = tables().decompositions.get(code);
  if (parts) output.push(...parts);
  else output.push(code);
}

/** Orders each stretch of marks by combining class; equal classes keep their order. */
function sortMarks(codes: number[]): void {
  const { ranks } = tables();
  const rankAt = (index: number): number => ranks[codes[index] ?? 0] ?? 0;
  let start = 0;
  while (start < codes.length) {
    let end = start;
    let sorted = true;
    while (end < codes.length && rankAt(end) > 0) {
      if (end > start && rankAt(end - 1) > rankAt(end)) sorted = false;
      end++;
    }
    if (!sorted) {
      const marks = codes.slice(start, end).sort((left, right) => (ranks[left] ?? 0) - (ranks[right] ?? 0));
      for (const [index, mark] of marks.entries()) codes[start + index] = mark;
    }
    start = end + 1;
  }
}

function compose(codes: readonly number[]): number[] {
  const { ranks } = tables();
  const output: number[] = [];
  let starter = -1;
  /** Rank of the last code point kept since the starter; a mark that is not above it is blocked. */
  let lastRank = 0;
  for (const code of codes) {
    const rank = ranks[code] ?? 0;
    const adjacent = starter === output.length - 1;
    if (starter >= 0 && (adjacent || (lastRank > 0 && rank > lastRank))) {
      const joined = composePair(output[starter] ?? 0, code);
      if (joined !== undefined) {
        output[starter] = joined;
        continue;
      }
    }
    if (rank === 0) starter = output.length;
    lastRank = rank;
    output.push(code);
  }
  return output;
}

function composePair(first: number, second: number): number | undefined {
  const leading = first - leadingBase;
  const vowel = second - vowelBase;
  if (leading >= 0 && leading < leadingCount && vowel >= 0 && vowel < vowelCount) {
    return hangulBase + (leading * vowelCount + vowel) * trailingCount;
  }
  const syllable = first - hangulBase;
  const trailing = second - trailingBase;
  if (syllable >= 0 && syllable < syllableCount && syllable % trailingCount === 0 && trailing > 0 && trailing < trailingCount) {
    return first + trailing;
  }
  return tables().compositions.get(first * codePointUnit + second);
}

function buildTables(): Tables {
  const ranks = expandRuns(combiningRankRuns);
  const decompositions = new Map<number, readonly number[]>();
  const compositions = new Map<number, number>();
  const active = new Uint8Array(Math.max(ranks.length, codePointUnit >> 2));
  for (const [code, rank] of ranks.entries()) if (rank > 0) active[code] = 1;
  active.fill(1, vowelBase, vowelBase + vowelCount).fill(1, trailingBase + 1, trailingBase + trailingCount);
  const codePoints = (text: string): number[] => Array.from(text, (character) => character.codePointAt(0) ?? 0);
  for (const [code, kind] of expandRuns(decompositionRuns).entries()) {
    if (kind === 0) continue;
    const parts = codePoints(String.fromCodePoint(code).normalize("NFD"));
    decompositions.set(code, parts);
    if (kind !== composes) {
      active[code] = 1;
      continue;
    }
    const second = parts.at(-1) ?? 0;
    const [first = 0] = codePoints(String.fromCodePoint(...parts.slice(0, -1)).normalize("NFC"));
    compositions.set(first * codePointUnit + second, code);
    active[second] = 1;
  }
  return { ranks, decompositions, compositions, active };
}
