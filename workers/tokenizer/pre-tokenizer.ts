/**
 * Cuts text into the words that byte-level BPE merges within, as Hugging Face `tokenizers` does for each family.
 *
 * Scanners over UTF-8 and generated tables, not JavaScript regular expressions: those have another Unicode version, another idea of
 * whitespace, and a backtracking stack that a megabyte of spaces exhausts. Input is always valid UTF-8, made by `TextEncoder`.
 */
import {
  type CodePointTable,
  expandRuns,
  lazily,
  letterClass,
  numberClass,
  numericFlag,
  otherClass,
  whitespaceClass,
} from "./code-point-table.ts";
import { characterClassRuns } from "./unicode-classes.ts";

export const supportedFamilies = ["gpt-2", "smollm", "qwen2"] as const;
export type Family = (typeof supportedFamilies)[number];

/** Always a word of its own, and an end of text to whatever is before it. */
const isolatedClass = 4;
const endClass = 5;

const space = 0x20;
const apostrophe = 0x27;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

const regexClasses = lazily(() => expandRuns(characterClassRuns).map((value) => value & ~numericFlag));
const digitSplittingClasses = lazily(() => expandRuns(characterClassRuns).map((value) => (value & numericFlag ? isolatedClass : value)));

/** Visits the words of a text, in order and without a gap. */
export type WordSplitter = (bytes: Uint8Array, visit: (start: number, end: number) => void) => void;

export function wordSplitter(family: Family): WordSplitter {
  switch (family) {
    case "gpt-2":
      return splitter(regexClasses, gpt2WordEnd);
    // `Digits(individual_digits)` first, then GPT-2's expression inside each split.
    case "smollm":
      return splitter(digitSplittingClasses, gpt2WordEnd);
    case "qwen2":
      return splitter(regexClasses, qwen2WordEnd);
  }
}

interface Text {
  readonly classes: CodePointTable;
  readonly bytes: Uint8Array;
  readonly end: number;
}

function splitter(classes: () => CodePointTable, wordEnd: (text: Text, start: number) => number): WordSplitter {
  return (bytes, visit) => {
    const text = { classes: classes(), bytes, end: bytes.length };
    let start = 0;
    while (start < text.end) {
      const end = wordEnd(text, start);
      visit(start, end);
      start = end;
    }
  };
}

/** `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` */
function gpt2WordEnd(text: Text, start: number): number {
  const first = classAt(text, start);
  const contraction = contractionLength(text, start, false);
  if (contraction > 0) return start + contraction;
  if (first === isolatedClass) return next(text, start);
  if (first !== whitespaceClass) return runEnd(text, start, first);
  if (text.bytes[start] === space) {
    const second = classAt(text, start + 1);
    if (second <= numberClass) return runEnd(text, start + 1, second);
  }
  return whitespaceEnd(text, start, runEnd(text, start, whitespaceClass));
}

/** `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+` */
function qwen2WordEnd(text: Text, start: number): number {
  const contraction = contractionLength(text, start, true);
  if (contraction > 0) return start + contraction;
  const first = classAt(text, start);
  if (first === letterClass) return runEnd(text, start, letterClass);
  const second = next(text, start);
  if (first === numberClass) return second;
  if (!isLineBreak(text.bytes[start]) && classAt(text, second) === letterClass) return runEnd(text, second, letterClass);
  if (first === otherClass) return lineBreaksEnd(text, runEnd(text, start, otherClass));
  if (text.bytes[start] === space && classAt(text, second) === otherClass) return lineBreaksEnd(text, runEnd(text, second, otherClass));
  const end = runEnd(text, start, whitespaceClass);
  for (let position = end; position > start; position--) {
    if (isLineBreak(text.bytes[position - 1])) return position;
  }
  return whitespaceEnd(text, start, end);
}

/** `\s+(?!\S)|\s+` on the whitespace from `start` to `end`: the last one is left to the word that follows, unless it is the only one. */
function whitespaceEnd(text: Text, start: number, end: number): number {
  if (classAt(text, end) >= isolatedClass) return end;
  let last = end - 1;
  while ((byteAt(text, last) & 0xc0) === 0x80) last--;
  return last > start ? last : end;
}

function runEnd(text: Text, start: number, kind: number): number {
  let position = next(text, start);
  while (classAt(text, position) === kind) position = next(text, position);
  return position;
}

function lineBreaksEnd(text: Text, start: number): number {
  let position = start;
  while (position < text.end && isLineBreak(text.bytes[position])) position++;
  return position;
}

/** Bytes of the contraction at `start`, or 0. Case folding counts U+017F, the long s (C5 BF), as an s. */
function contractionLength(text: Text, start: number, foldCase: boolean): number {
  if (text.bytes[start] !== apostrophe) return 0;
  const lowered = foldCase ? 0x20 : 0;
  const first = byteAt(text, start + 1) | lowered;
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return 2;
  const second = byteAt(text, start + 2);
  if (foldCase && byteAt(text, start + 1) === 0xc5 && second === 0xbf) return 3;
  const folded = second | lowered;
  const isPair = (first === 0x6c && folded === 0x6c) || ((first === 0x76 || first === 0x72) && folded === 0x65);
  return isPair ? 3 : 0;
}

function isLineBreak(byte: number | undefined): boolean {
  return byte === lineFeed || byte === carriageReturn;
}

/** Zero past the end: no rule of any family looks for it. */
function byteAt(text: Text, position: number): number {
  return position < text.end ? (text.bytes[position] ?? 0) : 0;
}

function next(text: Text, position: number): number {
  const lead = text.bytes[position] ?? 0;
  return position + (lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4);
}

function classAt(text: Text, position: number): number {
  if (position >= text.end) return endClass;
  const { bytes, classes } = text;
  const lead = bytes[position] ?? 0;
  if (lead < 0x80) return classes[lead] ?? otherClass;
  const second = (bytes[position + 1] ?? 0) & 0x3f;
  if (lead < 0xe0) return classes[((lead & 0x1f) << 6) | second] ?? otherClass;
  const third = (bytes[position + 2] ?? 0) & 0x3f;
  if (lead < 0xf0) return classes[((lead & 0x0f) << 12) | (second << 6) | third] ?? otherClass;
  const fourth = (bytes[position + 3] ?? 0) & 0x3f;
  return classes[((lead & 0x07) << 18) | (second << 12) | (third << 6) | fourth] ?? otherClass;
}
