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
const FIRST_ACTIVE = 0x300;
/** `decompositionRuns`: taken apart and put together again. */
const COMPOSES = 2;

const HANGUL_BASE = 0xac00;
const LEADING_BASE = 0x1100;
const VOWEL_BASE = 0x1161;
const TRAILING_BASE = 0x11a7;
const LEADING_COUNT = 19;
const VOWEL_COUNT = 21;
const TRAILING_COUNT = 28;
const SYLLABLE_COUNT = LEADING_COUNT * VOWEL_COUNT * TRAILING_COUNT;
const CODE_POINT_UNIT = 0x110000;

interface Tables {
  /** 0 for a starter, otherwise the order of its combining class. */
  readonly ranks: CodePointTable;
  readonly decompositions: ReadonlyMap<number, readonly number[]>;
  /** By `first * CODE_POINT_UNIT + second`. */
  readonly compositions: ReadonlyMap<number, number>;
  /** Non-zero where a code point is changed, or changes or joins what is before it. */
  readonly active: Uint8Array;
}

const tables = lazily(buildTables);

export function normalizeFormC(text: string): string {
  let first = 0;
  while (first < text.length && text.charCodeAt(first) < FIRST_ACTIVE) first++;
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
  const syllable = code - HANGUL_BASE;
  if (syllable >= 0 && syllable < SYLLABLE_COUNT) {
    const trailing = syllable % TRAILING_COUNT;
    const pair = (syllable - trailing) / TRAILING_COUNT;
    output.push(LEADING_BASE + Math.floor(pair / VOWEL_COUNT), VOWEL_BASE + (pair % VOWEL_COUNT));
    if (trailing > 0) output.push(TRAILING_BASE + trailing);
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
  const leading = first - LEADING_BASE;
  const vowel = second - VOWEL_BASE;
  if (leading >= 0 && leading < LEADING_COUNT && vowel >= 0 && vowel < VOWEL_COUNT) {
    return HANGUL_BASE + (leading * VOWEL_COUNT + vowel) * TRAILING_COUNT;
  }
  const syllable = first - HANGUL_BASE;
  const trailing = second - TRAILING_BASE;
  if (syllable >= 0 && syllable < SYLLABLE_COUNT && syllable % TRAILING_COUNT === 0 && trailing > 0 && trailing < TRAILING_COUNT) {
    return first + trailing;
  }
  return tables().compositions.get(first * CODE_POINT_UNIT + second);
}

function buildTables(): Tables {
  const ranks = expandRuns(combiningRankRuns);
  const decompositions = new Map<number, readonly number[]>();
  const compositions = new Map<number, number>();
  const active = new Uint8Array(Math.max(ranks.length, CODE_POINT_UNIT >> 2));
  for (const [code, rank] of ranks.entries()) if (rank > 0) active[code] = 1;
  active.fill(1, VOWEL_BASE, VOWEL_BASE + VOWEL_COUNT).fill(1, TRAILING_BASE + 1, TRAILING_BASE + TRAILING_COUNT);
  const codePoints = (text: string): number[] => Array.from(text, (character) => character.codePointAt(0) ?? 0);
  for (const [code, kind] of expandRuns(decompositionRuns).entries()) {
    if (kind === 0) continue;
    const parts = codePoints(String.fromCodePoint(code).normalize("NFD"));
    decompositions.set(code, parts);
    if (kind !== COMPOSES) {
      active[code] = 1;
      continue;
    }
    const second = parts.at(-1) ?? 0;
    const [first = 0] = codePoints(String.fromCodePoint(...parts.slice(0, -1)).normalize("NFC"));
    compositions.set(first * CODE_POINT_UNIT + second, code);
    active[second] = 1;
  }
  return { ranks, decompositions, compositions, active };
}
