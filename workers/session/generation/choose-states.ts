/** Which states a choice of an answer starts from and keeps: its session's, what the prompt's tokens find, or none. */
import type { Job } from "../../contracts/choice.ts";
import type { Outcome } from "../../contracts/outcome.ts";
import type { GenerationOrder } from "../../contracts/session.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import { identityOf } from "../identity.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { firstTurnStates } from "./first-turn-states.ts";
import { noStates } from "./no-states.ts";
import { PromptStates } from "./prompt-states.ts";
import type { States } from "./start.ts";
import type { PreparedTurn, TurnBase } from "./turn-base.ts";
import { turnStates } from "./turn-states.ts";

export interface StateSources {
  readonly order: Pick<GenerationOrder, "stream" | "tenant" | "model" | "abilities" | "jobs" | "turn">;
  /** Undefined without a tenant, for whom alone states are kept. */
  readonly store: SnapshotStore | undefined;
  /** Where the order is a turn of a session. */
  readonly turn: SessionTurn | undefined;
}

export interface SessionTurn {
  readonly prepared: PreparedTurn;
  /** Who keeps the turn's state. */
  readonly owner: string;
  /** The conversation's first tokens, so many. */
  readonly tokens: (count: number) => Promise<Outcome<Uint32Array>>;
  /** Reads the conversation's tokens again, as far as no snapshot has. */
  readonly rebuild: () => Promise<Outcome<TurnBase>>;
}

export function chooseStates(job: Job, { order, store, turn }: StateSources): States {
  const { prompt } = job.request;
  const onStoreFailure = (step: string, cause: unknown) => {
    const what = typeof cause === "string" ? cause : describeCause(cause);
    logLine("error", "snapshot_store_failed", { stream: order.stream, step, cause: what });
  };
  const identity = identityOf(order.model);
  if (store === undefined || order.tenant === null) return noStates(prompt, "no key, so nothing is kept");
  if (!order.abilities.includes("states")) {
    const { unread = [] } = turn?.prepared.base ?? {};
    return noStates(Uint32Array.from([...unread, ...prompt]), "the model's backend keeps no states");
  }
  if (job.request.promptLogprobs !== null) return noStates(prompt, "the prompt is to be scored");
  const onTheWay = order.abilities.includes("states_on_the_way");
  if (turn !== undefined) {
    const isPassing = order.turn?.isPassing === true;
    const states = turnStates({ store, identity, job, ...turn, onStoreFailure });
    const own: States = isPassing ? { ...states, keeps: null, put: () => Promise.resolve(null) } : states;
    const { base } = turn.prepared;
    if (order.turn?.isResponse !== true || base.snapshot !== null || turn.prepared.hasOtherOpening === true) return own;
    const whole = Uint32Array.from([...base.unread, ...prompt]);
    const asPrompt = { ...job, request: { ...job.request, prompt: whole } };
    const shared = new PromptStates({ store, identity, tenant: order.tenant, job: asPrompt, onTheWay, onStoreFailure });
    return isPassing ? shared.findOnly() : firstTurnStates(shared, own, whole.length);
  }
  // Choices of one prompt end in different states; the client goes on from the first.
  const first = order.jobs.find(({ promptIndex }) => promptIndex === job.promptIndex) === job;
  const states = new PromptStates({ store, identity, tenant: order.tenant, job, onTheWay, onStoreFailure });
  return first ? states : states.findOnly();
}
