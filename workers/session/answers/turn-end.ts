/** Hands a turn that has ended to its session, which must learn of it: what was said must not be lost to it. */
import { ServiceError } from "../../contracts/errors.ts";
import { fromObject } from "../calls.ts";
import { logLine } from "../../observe/log-line.ts";
import type { PreparedTurn } from "../generation/turn-base.ts";
import { ownerOf, type TurnResult, type TurnTaker } from "../sessions/contract.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { releaseOwned } from "../snapshots/release-owned.ts";
import type { StoredOrder } from "./order-rows.ts";
import type { ChoiceAssembler } from "./text/choice-assembler.ts";
import type { RunEnd } from "./generation-run.ts";
import { pause } from "../../waiting/within.ts";

const mostAttempts = 6;
const pauseMilliseconds = 50;

/** What the session writes down of the turn; undefined where the order has no choice. */
export function turnResult(
  { order }: StoredOrder,
  prepared: PreparedTurn,
  choice: ChoiceAssembler | undefined,
  { failure, stopped, saved, at }: RunEnd,
  usage: TurnResult["usage"],
  backend: string | null,
): TurnResult | undefined {
  const job = order.jobs[0];
  if (choice === undefined || job === undefined) return undefined;
  // What a stop string took away, the state has read: it is of no use to what follows.
  const usable = saved !== null && choice.answer.length === choice.sampled.length ? saved : null;
  return {
    turn: prepared.turn,
    stream: order.stream,
    text: choice.text,
    calls: choice.calls,
    messages: order.turn?.messages ?? [],
    finish: failure === null ? (stopped ? "cancelled" : choice.reason) : failure.code === "cancelled" ? "cancelled" : "failed",
    prompt: job.request.prompt,
    answer: choice.answer,
    snapshot: usable === null ? null : { id: usable.id, tokens: usable.tokens },
    usage,
    ended: at,
    backend: failure === null ? backend : null,
    ...(order.turn?.isResponse === true ? { response: { recipe: order.recipe, ...(failure === null ? {} : { failure }) } } : {}),
  };
}

/** A session that can't be reached now is asked again. */
export async function endTurn(
  session: TurnTaker,
  result: TurnResult,
  prepared: PreparedTurn,
  store: Pick<SnapshotStore, "release"> | undefined,
): Promise<void> {
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    try {
      await fromObject(session.endTurn(result));
      return;
    } catch (cause) {
      if (!(cause instanceof ServiceError)) throw cause;
      const { code, retryable } = cause.failure;
      logLine("error", "turn_not_ended", { stream: result.stream, code });
      // It was deleted meanwhile, so that nobody else would let go of this turn's state.
      if (code === "session_not_found" && store !== undefined)
        await releaseOwned(store, prepared.session, ownerOf(prepared.session, prepared.turn));
      if (!retryable) return;
      await pause(pauseMilliseconds * 2 ** attempt);
    }
  }
}
