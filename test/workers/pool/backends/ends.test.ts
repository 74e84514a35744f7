/** How a request to a server ends before its answer does, and what its caller hears while nothing comes. */
import { describe, expect, test } from "vitest";
import { heartbeatMilliseconds } from "../../../../workers/contracts/event-stream.ts";
import { VllmBackend } from "../../../../workers/pool/backends/vllm.ts";
import { callOf } from "../../../contract/replica/as-backend.ts";
import { valueOf } from "../../../contract/generation.ts";
import { ScriptedReplica } from "../../../contract/replica/scripted-replica.ts";
import { pause } from "../../../../workers/waiting/within.ts";
import { askedFor, description } from "./servers.ts";

const opened = async (replica: ScriptedReplica) =>
  valueOf(await new VllmBackend(replica.network).generate(callOf(description, askedFor({ maxTokens: 400 }))));

describe("a reader that leaves", () => {
  test.each<[when: string, reads: number, delayMilliseconds: number]>([
    ["before the first token", 0, 0],
    ["in the middle", 3, 0],
    ["while the replica is silent", 0, 60_000],
  ])("ends the request at once: %s", async (_when, reads, delayMilliseconds) => {
    const replica = new ScriptedReplica(description);
    replica.script = { delayMilliseconds };
    const reader = (await opened(replica)).getReader();
    for (let read = 0; read < reads; read++) await reader.read();
    expect(replica.seen[0]?.signal.aborted).toBe(false);
    await reader.cancel();
    expect(replica.seen[0]?.signal.aborted).toBe(true);
    expect(replica.running).toBe(0);
    const made = replica.generatedTokens;
    await pause(20);
    // The token that was being made when the request ended may still be counted; none comes after it.
    expect(replica.generatedTokens - made).toBeLessThanOrEqual(1);
  });

  test("ends a request that has no answer yet", async () => {
    const replica = new ScriptedReplica(description);
    replica.script = { answers: () => new Promise<Response>(() => undefined) };
    const leaving = new AbortController();
    const outcome = new VllmBackend(replica.network).generate({ ...callOf(description, askedFor()), signal: leaving.signal });
    await pause(5);
    leaving.abort();
    expect(await outcome).toMatchObject({ ok: false, failure: { code: "engine_unavailable", retryable: true } });
    expect(replica.seen[0]?.signal.aborted).toBe(true);
  });
});

test("an empty line breaks each long silence", async () => {
  const replica = new ScriptedReplica(description);
  replica.script = { delayMilliseconds: 2.5 * heartbeatMilliseconds };
  const reader = (await opened(replica)).getReader();
  const before: string[] = [];
  for (let line = "\n"; line === "\n"; before.push(line)) line = new TextDecoder().decode((await reader.read()).value);
  await reader.cancel();
  expect(JSON.parse(before.pop() ?? "")).toMatchObject({ type: "token" });
  expect(before.length).toBeGreaterThanOrEqual(2);
});
