/** Texts that a random chooser writes in the model's place: of the tokens that may come, any. */
import type { Constraint, GrammarStep } from "../../../workers/contracts/constraint.ts";
import { ServiceError } from "../../../workers/contracts/errors.ts";
import type { GrammarTexts, TextTokenizer } from "../../../workers/grammar/texts.ts";

export interface Walked {
  readonly tokens: readonly number[];
  /** Whether the text is whole; not where it was too long. */
  readonly isWhole: boolean;
  readonly steps: readonly GrammarStep[];
}

export interface WalkOptions {
  /** In [0, 1). */
  readonly random: () => number;
  /** Tokens that the chooser likes, because texts come to an end by them. */
  readonly closing: readonly number[];
  readonly most: number;
}

/** @throws ServiceError where it can't be held to. */
export function walk(
  texts: GrammarTexts,
  constraint: Constraint,
  tokenizer: TextTokenizer,
  { random, closing, most }: WalkOptions,
  begun: readonly number[] = [],
): Walked {
  const { text, step: first } = texts.open(constraint, tokenizer, Uint32Array.from(begun));
  try {
    const tokens = [...begun, ...first.forced];
    const steps = [first];
    for (let step = first; ;) {
      if (step.mask === null || (step.mayEnd && random() < 0.5)) return { tokens, isWhole: true, steps };
      if (tokens.length >= most) return { tokens, isWhole: false, steps };
      const allowed = idsOf(step.mask);
      const ends = allowed.filter((id) => closing.includes(id));
      const among = ends.length > 0 && random() < 0.4 ? ends : allowed;
      const id = among[Math.floor(random() * among.length)] ?? 0;
      step = text.accept(Uint32Array.of(id));
      tokens.push(id, ...step.forced);
      steps.push(step);
    }
  } finally {
    text.close();
  }
}

export function idsOf(mask: Uint8Array): number[] {
  return [...mask].flatMap((byte, at) =>
    Array.from({ length: 8 }, (_unused, bit) => (byte >> bit) & 1).flatMap((set, bit) => (set === 1 ? [8 * at + bit] : [])),
  );
}

/** Whether the text of these tokens is one that the constraint allows, however it is cut into tokens. */
export function accepts(texts: GrammarTexts, constraint: Constraint, tokenizer: TextTokenizer, tokens: readonly number[]): boolean {
  try {
    const { text, step } = texts.open(constraint, tokenizer, Uint32Array.from(tokens));
    text.close();
    return step.forced.length === 0 && step.mayEnd;
  } catch (cause) {
    if (cause instanceof ServiceError) return false;
    throw cause;
  }
}
