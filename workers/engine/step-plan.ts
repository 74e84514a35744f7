/** What one forward pass computes. Pure. */
import { byShare, interleaved } from "./shares.ts";

/** A running sequence as the planner sees it. */
export interface Candidate {
  readonly handle: number;
  /** Tokens the engine has read of it. */
  readonly position: number;
  /** Tokens it has still to read. */
  readonly pending: number;
  /** Whose it is, as `Claim` says. */
  readonly share?: string | null;
  /** Whether it takes only what others leave. */
  readonly yields?: boolean;
  /** The pass that it took part in last. */
  readonly servedAt?: number;
}

/** Prompt tokens are cut where the linear layers' chunks end (`CHUNK_TOKENS` of `wasm/engine/src/layer/gated_linear.rs`): less than one is read token by token. */
export const prefillGrain = 32;
/** Sequences of one share that answer in a pass beside another share, however little that one asks for: alone they would take as long for their tokens as all of them together do. */
const fewestAnswering = 2;
/** Sequences that answer in one pass: each costs logits and activations. */
export const mostAnswering = 16;

/**
 * Sequences that have one token to read take part first, up to {@link mostAnswering} of them, so that no stream waits for prompts; beside
 * another share's, a share's sequences follow one another in its place where it has more of them ({@link answering}). The prefill budget goes round in grains to the shares with more to read, and within
 * a share to its sequences, both in the given order (rotate it from step to step): short prompts are not stuck behind long ones, nor one
 * share's behind another's many.
 */
export function planStep(candidates: readonly Candidate[], prefillBudget: number): Uint32Array {
  const counts = new Map<Candidate, number>();
  for (const candidate of answering(candidates)) counts.set(candidate, 1);
  let hungry = byShare(candidates.filter(({ pending }) => pending > 1));
  let budget = prefillBudget;
  while (hungry.length > 0) {
    hungry = hungry.flatMap(([candidate, ...others]) => {
      if (candidate === undefined) return [];
      const planned = counts.get(candidate) ?? 0;
      const take = Math.min(grainLeft(candidate.position + planned), candidate.pending - planned);
      const isDone = take > budget || planned + take === candidate.pending;
      if (take <= budget) {
        budget -= take;
        counts.set(candidate, planned + take);
      }
      const left = isDone ? others : [...others, candidate];
      return left.length === 0 ? [] : [left];
    });
  }
  const plan: number[] = [];
  for (const candidate of candidates) {
    const count = counts.get(candidate);
    if (count !== undefined) plan.push(candidate.handle, count);
  }
  return Uint32Array.from(plan);
}

/** Tokens until the linear layers' chunk ends. */
export function grainLeft(position: number): number {
  return prefillGrain - (position % prefillGrain);
}

/** Of the sequences with one token to read, those of this pass: as many of each share as the one that asks for least has, but at least two, and {@link mostAnswering} of all. */
function answering(candidates: readonly Candidate[]): Candidate[] {
  const shares = byShare(candidates);
  const groups = shares.map((group) => group.filter(({ pending }) => pending === 1));
  const fewest = shares.reduce((least, { length }) => Math.min(least, length), Infinity);
  const each = shares.length === 1 ? Infinity : Math.max(fewestAnswering, fewest);
  return interleaved(groups.map((group) => group.slice(0, each))).slice(0, mostAnswering);
}
