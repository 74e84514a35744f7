/** Whether a request may wait: the queue is bounded as a whole, and a share has less than all of it. Pure. */
import type { GenerateRequest } from "../contracts/engine.ts";
import type { ServiceFailure } from "../contracts/errors.ts";
import { overloaded } from "./failures.ts";
import type { Generation } from "./generation.ts";
import type { SchedulerLimits } from "./scheduler-limits.ts";

export const retryAfterSeconds = 5;
/** What one share's requests may take of the queue. */
const shareOfQueue = 0.75;

type Waiting = Pick<Generation, "share" | "heldIds">;

/** Why this request may not wait beside those; undefined where it may. What it says counts the share's own requests only. */
export function fullQueue(
  { share = null, prompt }: Pick<GenerateRequest, "share" | "prompt">,
  waiting: readonly Waiting[],
  limits: Pick<SchedulerLimits, "waiting" | "waitingTokens">,
): ServiceFailure | undefined {
  const own = waiting.filter((other) => other.share === share);
  if (own.length >= Math.ceil(shareOfQueue * limits.waiting))
    return overloaded(`${String(own.length)} requests are waiting, which is the limit`, retryAfterSeconds);
  const ownTokens = tokensOf(own);
  if (own.length > 0 && ownTokens + prompt.length > Math.ceil(shareOfQueue * limits.waitingTokens)) {
    return overloaded(
      `prompts of ${String(ownTokens)} tokens are waiting; with this one of ${String(prompt.length)} they would be more than the ${String(Math.ceil(shareOfQueue * limits.waitingTokens))} that may`,
      retryAfterSeconds,
    );
  }
  const isFull = waiting.length >= limits.waiting || (waiting.length > 0 && tokensOf(waiting) + prompt.length > limits.waitingTokens);
  return isFull ? overloaded("the engine's queue is full", retryAfterSeconds) : undefined;
}

function tokensOf(waiting: readonly Waiting[]): number {
  return waiting.reduce((total, { heldIds }) => total + heldIds, 0);
}
