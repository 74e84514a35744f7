/** The states of a turn: where its session says it starts, kept for the session afterwards. */
import type { Job } from "../../contracts/choice.ts";
import type { Outcome } from "../../contracts/outcome.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { fromObject } from "../calls.ts";
import type { PreparedTurn, TurnBase } from "./turn-base.ts";
import { pageTokens } from "../../state-file/page.ts";
import type { ModelIdentity, SnapshotStore } from "../snapshots/contract.ts";
import type { States, Start } from "./start.ts";

export interface TurnStatesOptions {
  readonly store: Pick<SnapshotStore, "open" | "put">;
  readonly identity: ModelIdentity;
  readonly job: Job;
  readonly prepared: PreparedTurn;
  /** Who keeps the state. */
  readonly owner: string;
  /** The conversation's first tokens, so many. */
  readonly tokens: (count: number) => Promise<Outcome<Uint32Array>>;
  /** Reads the conversation's tokens again, as far as no snapshot has. */
  readonly rebuild: () => Promise<Outcome<TurnBase>>;
  readonly onStoreFailure: (step: "open" | "put", cause: unknown) => void;
}

export function turnStates({ store, identity, job, prepared, owner, tokens: read, rebuild, onStoreFailure }: TurnStatesOptions): States {
  const startAt = (base: TurnBase, outcome: "hit" | "miss" | "rejected", reason: string): Start => ({
    tokens: base.snapshot === null ? 0 : base.tokens,
    prompt: Uint32Array.from([...base.unread, ...job.request.prompt]),
    snapshot: base.snapshot,
    seen: base.snapshot === null ? new Uint32Array() : prepared.seen,
    report: { outcome, tokens: base.snapshot === null ? 0 : base.tokens, reason },
  });
  return {
    keeps: { at: [], end: true },
    start: () => {
      const { base } = prepared;
      return Promise.resolve(
        base.snapshot === null
          ? startAt(base, "miss", prepared.hasOtherOpening === true ? "other instructions or functions" : "first turn")
          : startAt(base, "hit", "session"),
      );
    },
    async open({ snapshot, tokens }, fromPage) {
      try {
        return (await fromObject(store.open(snapshot ?? "", tokens, fromPage))).bytes;
      } catch (cause) {
        onStoreFailure("open", cause instanceof ServiceError ? cause.failure.message : cause);
        throw cause;
      }
    },
    async tokens({ tokens }) {
      return await fromObject(read(tokens));
    },
    async without(_start, reason) {
      return startAt(await fromObject(rebuild()), "rejected", reason);
    },
    async put(start, tokens, _answer, bytes) {
      const { snapshot, tokens: from } = start;
      const outcome = await store.put(
        {
          identity,
          tokens,
          parent: snapshot,
          fromPage: snapshot === null ? 0 : Math.floor(from / pageTokens),
          chain: null,
          owner,
          expires: null,
        },
        bytes,
      );
      if (outcome.ok) return outcome.value;
      onStoreFailure("put", outcome.failure.message);
      return null;
    },
  };
}
