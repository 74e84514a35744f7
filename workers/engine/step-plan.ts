/** What one forward pass computes, as far as one share is concerned; several share it as `shared-passes.ts` says. Pure. */

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
/** More than this still to read is long; what is shorter is a message, whose sender waits for the first token. */
export const longTokens = 256;
/** Sequences that answer in one pass: each costs logits and activations. */
export const mostAnswering = 16;

/**
 * A pass of one share. Sequences that have one token to read take part first, up to {@link mostAnswering} of them, so that no stream waits for
 * prompts. The prefill budget goes round in grains to those with more to read, in the given order (rotate it from step to step): short prompts
 * are not stuck behind long ones. Messages that have begun come before those that have not.
 */
export function planAlone(candidates: readonly Candidate[], prefillBudget: number): Map<Candidate, number> {
  const counts = new Map<Candidate, number>();
  for (const candidate of candidates.filter(({ pending }) => pending === 1).slice(0, mostAnswering)) counts.set(candidate, 1);
  let hungry = begunFirst(candidates.filter(({ pending }) => pending > 1));
  let budget = prefillBudget;
  while (hungry.length > 0) {
    hungry = hungry.filter((candidate) => {
      const planned = counts.get(candidate) ?? 0;
      const take = nextGrain(candidate, planned);
      if (take > budget) return false;
      budget -= take;
      counts.set(candidate, planned + take);
      return planned + take < candidate.pending;
    });
  }
  return counts;
}

/**
 * The same prompts with the messages among them in another order, those first that earlier passes have begun: when many messages come at once, each pass
 * ends some of them instead of beginning more, so that on average their senders wait half as long. Long prompts keep their places.
 */
export function begunFirst(prompts: readonly Candidate[]): Candidate[] {
  const messages = prompts.filter(isMessage);
  const ordered = [...messages.filter(hasBegun), ...messages.filter((message) => !hasBegun(message))].values();
  return prompts.map((prompt) => (isMessage(prompt) ? (ordered.next().value ?? prompt) : prompt));
}

export const isMessage = ({ pending }: Candidate): boolean => pending <= longTokens;

const hasBegun = ({ servedAt = 0 }: Candidate): boolean => servedAt > 0;

/** As the engine takes it: a handle and how many tokens, one after another. */
export function toPlan(candidates: readonly Candidate[], counts: ReadonlyMap<Candidate, number>): Uint32Array {
  const plan: number[] = [];
  for (const candidate of candidates) {
    const count = counts.get(candidate);
    if (count !== undefined) plan.push(candidate.handle, count);
  }
  return Uint32Array.from(plan);
}

/** What may be read next of a prompt of which so much is planned already. */
export function nextGrain({ position, pending }: Candidate, planned: number): number {
  return Math.min(grainLeft(position + planned), pending - planned);
}

/** Tokens until the linear layers' chunk ends. */
export function grainLeft(position: number): number {
  return prefillGrain - (position % prefillGrain);
}
