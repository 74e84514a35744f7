/**
 * The bytes of a state's file between its stages: behind the header come their heads one after another, and then, for each group of layers and
 * each of its tokens, their rows. So the file is the same however the model is cut.
 */
import { ServiceError } from "../../contracts/errors.ts";
import { engineErrorCode, StatesLost, type PartOfFile } from "../engine-surface.ts";

/** What was thrown, as an error of a kind that ends one answer alone: whatever else breaks a stream between Workers, a stage cannot be reached. */
export function errorOf(thrown: unknown): Error {
  if (thrown instanceof ServiceError || (thrown instanceof Error && engineErrorCode(thrown) !== undefined)) return thrown;
  return new StatesLost("a stage's part of a state has broken off", { cause: thrown });
}

/** Whose bytes come next, and how many. */
export interface Stretch {
  readonly stage: number;
  readonly bytes: number;
}

/** What each stage has of the file, in the order of the stages. */
export function* stretches(shares: readonly PartOfFile[]): Generator<Stretch, void, undefined> {
  for (const [stage, { head }] of shares.entries()) if (head > 0) yield { stage, bytes: head };
  const [first] = shares;
  for (const [group, [tokens]] of (first?.groups ?? []).entries()) {
    const ofToken = shares.map(({ groups }, stage) => ({ stage, bytes: groups[group]?.[1] ?? 0 })).filter(({ bytes }) => bytes > 0);
    for (let token = 0; token < tokens; token += 1) yield* ofToken;
  }
}
