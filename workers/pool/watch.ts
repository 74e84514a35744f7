/**
 * Watches one answer of a replica while it comes: how long each part of it takes, and how it ends. What takes too long ends the answer with a
 * failure that another backend can mend.
 */
import type { GenerateEvent } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import { Waits } from "../waiting/waits.ts";
import type { BackendCall, EventBatches } from "./backends/contract.ts";
import { tooSlow } from "./failures.ts";
import { outcomeOf, type Attempt, type AttemptOutcome } from "./health.ts";
import type { AttemptLimits } from "./settings.ts";
import { steadyClock } from "./steady-clock.ts";

export interface WatchOptions {
  readonly limits: AttemptLimits;
  /** Told how it ended: a reader that leaves says nothing about the backend. */
  readonly attempt: Attempt;
}

/** The same events. The time in which nobody asks for the next one does not count against the backend. */
export function watch({ limits, attempt }: WatchOptions): NonNullable<BackendCall["watch"]> {
  return (events, readerLeft) => watched(events, limits, attempt, readerLeft);
}

async function* watched(events: EventBatches, limits: AttemptLimits, attempt: Attempt, readerLeft: AbortSignal): EventBatches {
  const elapsed = steadyClock(Date.now);
  const waits = new Waits();
  let [begun, whole] = [false, false];
  let outcome: AttemptOutcome = "neither";
  try {
    while (true) {
      const left = limits.total - elapsed();
      const next = await waits.within(events.next(), Math.max(0, Math.min(left, begun ? limits.gap : limits.firstToken)), () => undefined);
      if (next === undefined) throw new ServiceError(lateFailure(limits, begun, elapsed()));
      outcome = "failure";
      if (next.done === true) return;
      const error = next.value.find((event) => event.type === "error");
      if (!begun && holds(next.value, "token")) {
        begun = true;
        attempt.worked();
      }
      whole ||= holds(next.value, "finish");
      if (whole) attempt.end("success");
      outcome = error === undefined ? "neither" : outcomeOf(error.failure);
      yield next.value;
    }
  } catch (cause) {
    outcome = cause instanceof ServiceError ? outcomeOf(cause.failure) : "failure";
    throw cause;
  } finally {
    waits.stop();
    // What waits for the next event is ended by its reader's leaving, too.
    attempt.end(readerLeft.aborted ? "neither" : outcome);
    // Not awaited: one that waits for a silent backend returns only once its request is ended, which is the caller's part.
    void events.return().catch(() => undefined);
  }
}

const holds = (events: readonly GenerateEvent[], type: GenerateEvent["type"]) => events.some((event) => event.type === type);

function lateFailure({ total, gap, firstToken }: AttemptLimits, begun: boolean, elapsed: number) {
  if (elapsed >= total) return tooSlow("did not end its answer", total);
  return begun ? tooSlow("sent no further token", gap) : tooSlow("sent no token", firstToken);
}
