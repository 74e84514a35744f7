/** A call that breaks while an answer or a document is made says which service did not answer. */
import { afterEach, expect, test, vi } from "vitest";
import type { SnapshotStore } from "../../../../workers/session/snapshots/contract.ts";
import { partTokens } from "../../../../workers/session/generation/read-tokens.ts";
import { turnStates } from "../../../../workers/session/generation/turn-states.ts";
import { identityOf } from "../../../../workers/session/identity.ts";
import { greedy } from "../../../contract/generation.ts";
import { spyOnLog } from "../../support/log-spy.ts";
import { tinyManifest, versionOf } from "../../support/tiny-tokenizer.ts";

const version = versionOf(tinyManifest);
const gone = () => Promise.reject(new Error("Network connection lost: machine 7"));
const startOf = { tokens: 32, prompt: new Uint32Array(), snapshot: "s", seen: new Uint32Array() };

afterEach(() => {
  vi.restoreAllMocks();
});

function ofTurn() {
  const store = { open: gone, put: gone } as unknown as SnapshotStore;
  const base = { snapshot: "s", tokens: 32, unread: new Uint32Array() };
  return turnStates({
    ...{ store, identity: identityOf(version), owner: "session:a:1", tokens: gone, rebuild: gone, onStoreFailure: () => undefined },
    job: { index: 0, promptIndex: 0, stops: [], echo: null, request: { ...greedy([1]), requestId: "r" } },
    prepared: { session: "sess_a", turn: 1, base, seen: new Uint32Array() },
  });
}

test.each([
  ["a pool that is asked for its models", "pool_unavailable", () => partTokens({ models: gone }, version)],
  [
    "a session that reads its tokens again",
    "session_unavailable",
    () => ofTurn().without({ ...startOf, report: { outcome: "hit", tokens: 32, reason: "" } }, "lost"),
  ],
  [
    "a store that opens a state",
    "session_unavailable",
    () => ofTurn().open({ ...startOf, report: { outcome: "hit", tokens: 32, reason: "" } }, 0),
  ],
])("%s", async (_name, code, call) => {
  const lines = spyOnLog();
  await expect(call()).rejects.toMatchObject({ failure: { code, status: 503, retryable: true } });
  expect(lines.join("\n")).toContain('"event":"service_unreachable"');
});
