/** Results of calls that bring a stream are let go once it is there: the runtime keeps what nobody lets go of until it collects garbage, and complains. */
import { expect, test, vi } from "vitest";
import { PromptStates } from "../../../../workers/session/generation/prompt-states.ts";
import { turnStates } from "../../../../workers/session/generation/turn-states.ts";
import { identityOf } from "../../../../workers/session/identity.ts";
import { adopt } from "../../../../workers/session/sessions/adopt.ts";
import type { SessionRecord } from "../../../../workers/session/sessions/record.ts";
import { linesOfTurns } from "../../../../workers/session/sessions/turn-lines.ts";
import type { SnapshotStore } from "../../../../workers/session/snapshots/contract.ts";
import { greedy } from "../../../contract/generation.ts";
import { tinyManifest, versionOf } from "../../support/tiny-tokenizer.ts";

const model = versionOf(tinyManifest);
const identity = identityOf(model);
const job = { index: 0, promptIndex: 0, stops: [], echo: null, request: greedy([1, 2, 3]) };
const start = {
  tokens: 2,
  prompt: Uint32Array.of(3),
  snapshot: "s",
  seen: new Uint32Array(),
  report: { outcome: "hit", tokens: 2, reason: "" },
} as const;
const bytes = () => new ReadableStream<Uint8Array>();
const noted = { onStoreFailure: () => undefined };

/** A store's answer as it comes over RPC. */
function opening() {
  const released = vi.fn();
  const result = { ok: true, value: { tokens: 2, tier: "hot", bytes: bytes() }, [Symbol.dispose]: released } as const;
  const put = () => Promise.resolve({ ok: true, value: { id: "other", tokens: 2 } } as const);
  const store = { open: () => Promise.resolve(result), put } as unknown as SnapshotStore;
  return { released, store };
}

const turn = { number: 1, messages: [], tokens: 2, finish: "stop", created: 0, stream: "", snapshot: "s", snapshotTokens: 2 } as const;
const prepared = { session: "sess_a", turn: 2, base: { snapshot: "s", tokens: 2, unread: new Uint32Array() }, seen: new Uint32Array() };
const never = () => Promise.reject(new Error("not asked"));

test.each<[name: string, call: (store: SnapshotStore) => Promise<unknown>]>([
  [
    "a conversation that is sent again",
    (store) => new PromptStates({ store, identity, tenant: "t", job, onTheWay: false, ...noted }).open(start, 0),
  ],
  [
    "a turn of a session",
    (store) => turnStates({ store, identity, job, prepared, owner: "o", tokens: never, rebuild: never, ...noted }).open(start, 0),
  ],
  ["a session that is taken over", (store) => adopt(linesOfTurns([turn], 10_000), { id: "sess_a", model } as SessionRecord, store, store)],
])("the state of %s", async (_name, call) => {
  const { released, store } = opening();
  await call(store);
  expect(released).toHaveBeenCalledOnce();
});
