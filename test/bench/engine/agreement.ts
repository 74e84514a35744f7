/** Speed of a wrong answer is worth nothing: what the programs decoded is compared before anything is reported. */

/** How many tokens from the start are the same. */
export function equalTokens(left: readonly number[], right: readonly number[]): number {
  const different = left.findIndex((id, at) => id !== right[at]);
  return different < 0 ? left.length : different;
}

/** One program's tokens after a prompt. */
export interface Continuation {
  readonly program: string;
  readonly tokens: readonly number[];
}

/** Our engine's kernels compute the very same bits, wherever they run. */
export function mustBeIdentical(continuations: readonly Continuation[]): void {
  const [first, ...others] = continuations;
  const other = others.find(({ tokens }) => tokens.length !== first?.tokens.length || equalTokens(tokens, first.tokens) < tokens.length);
  if (first !== undefined && other !== undefined) {
    throw new Error(
      `${first.program} and ${other.program} decoded different tokens: ${first.tokens.join(" ")} and ${other.tokens.join(" ")}`,
    );
  }
}

/** Other arithmetic may part ways after some tokens, but not at the first of a text that goes on in an obvious way. */
export function mustBeginAlike(ours: Continuation, theirs: Continuation): number {
  const equal = equalTokens(ours.tokens, theirs.tokens);
  if (equal === 0)
    throw new Error(`${ours.program} goes on with token ${String(ours.tokens[0])} and ${theirs.program} with ${String(theirs.tokens[0])}`);
  return equal;
}
