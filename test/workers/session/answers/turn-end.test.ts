/** A turn that has ended is told to its session, whatever breaks on the way. */
import { afterEach, expect, test, vi } from "vitest";
import type { Outcome } from "../../../../workers/contracts/outcome.ts";
import { endTurn } from "../../../../workers/session/answers/turn-end.ts";
import { sessionNotFound } from "../../../../workers/session/failures.ts";
import { ownerOf, type TurnResult } from "../../../../workers/session/sessions/contract.ts";
import { spyOnLog } from "../../support/log-spy.ts";

const result: TurnResult = {
  ...{ turn: 3, stream: "stream", text: "", finish: "stop", messages: [], snapshot: null },
  ...{ prompt: new Uint32Array(), answer: new Uint32Array(), usage: { promptTokens: 0, completionTokens: 0, cachedTokens: 0 } },
};
const prepared = { session: "sess_a", turn: 3, base: { snapshot: null, tokens: 0, unread: new Uint32Array() }, seen: new Uint32Array() };
const lost = () => Promise.reject(new Error("Network connection lost: machine 7"));
const ended = (): Promise<Outcome<null>> => Promise.resolve({ ok: true, value: null });
const deleted = (): Promise<Outcome<null>> => Promise.resolve({ ok: false, failure: sessionNotFound() });

afterEach(() => {
  vi.restoreAllMocks();
});

async function end(answers: readonly (() => Promise<Outcome<null>>)[], release: (owner: string) => Promise<void>) {
  let calls = 0;
  const call = () => (answers[calls++] ?? ended)();
  await endTurn(
    { endTurn: call, beginTurn: lost, readTokens: () => Promise.reject(new Error("not asked")), rebuildBase: lost },
    result,
    prepared,
    { release },
  );
  return calls;
}

test("a session that can't be reached is asked again, and named in the log", async () => {
  const lines = spyOnLog();
  expect(await end([lost, lost], lost)).toBe(3);
  expect(lines.filter((line) => line.includes(`"event":"service_unreachable","service":"session"`))).toHaveLength(2);
  expect(lines.filter((line) => line.includes(`"event":"turn_not_ended","stream":"stream","code":"session_unavailable"`))).toHaveLength(2);
});

test("the state of a session that was deleted meanwhile is released, once", async () => {
  spyOnLog();
  const released: string[] = [];
  const release = (owner: string) => Promise.resolve(void released.push(owner));
  expect(await end([deleted], release)).toBe(1);
  expect(released).toEqual([ownerOf("sess_a", 3)]);
});

test("a store that can't be reached then keeps the state, and that is logged", async () => {
  const lines = spyOnLog();
  expect(await end([deleted], lost)).toBe(1);
  expect(lines.join("\n")).toContain(`"event":"snapshot_store_failed","session":"sess_a","step":"release"`);
});
