/** Limits on how long each part of an answer takes, and what its end says about the backend. */
import { describe, expect, test, vi } from "vitest";
import type { GenerateEvent } from "../../../workers/contracts/engine.ts";
import { decodeEvents } from "../../../workers/contracts/event-stream.ts";
import { FakeBackend } from "../../../workers/pool/backends/fake.ts";
import { watch } from "../../../workers/pool/watch.ts";
import { pause } from "../../../workers/waiting/within.ts";
import { greedy } from "../../contract/generation.ts";
import { callOf } from "../../contract/replica/as-backend.ts";

const model = {
  ...{ id: "m", digest: "d".repeat(64), tokenizerDigest: "t".repeat(64), architecture: "toy", parameters: 0, vocabularySize: 100 },
  ...{ contextLength: 100, abilities: [], kernel: "toy" },
};
const token = (id: number): GenerateEvent => ({ type: "token", id });
const finish: GenerateEvent = { type: "finish", reason: "length", usage: { promptTokens: 1, completionTokens: 2, cachedTokens: 0 } };
const limits = { connect: 1_000, firstToken: 1_000, gap: 1_000, total: 10_000 };
const failed: GenerateEvent = {
  type: "error",
  failure: { code: "engine_unavailable", status: 502, message: "it broke", retryable: true },
};

/** Events, and pauses between them in milliseconds; the last of which may last for ever. */
async function run(script: readonly (GenerateEvent | number | "throws")[], changes: Partial<typeof limits> = {}, read = 100) {
  const attempt = { worked: vi.fn(), end: vi.fn() };
  const left = vi.fn();
  const backend = new FakeBackend({
    async *answers(_call, gone) {
      gone.addEventListener("abort", left);
      for (const step of script) {
        if (step === "throws") throw new Error("a secret address");
        if (typeof step === "number") await (step === Infinity ? new Promise(() => undefined) : pause(step));
        else yield step;
      }
    },
  });
  const request = { ...greedy([1]), model };
  const call = { ...callOf(model, request), watch: watch({ limits: { ...limits, ...changes }, attempt }) };
  const outcome = await backend.generate(call);
  if (!outcome.ok) throw new Error(outcome.failure.message);
  const events: GenerateEvent[] = [];
  for await (const event of decodeEvents(outcome.value)) {
    events.push(event);
    if (events.length === read) break;
  }
  await vi.waitFor(() => expect(left).toHaveBeenCalled());
  const ends = attempt.end.mock.calls.map(([how]) => how as string);
  return { types: events.map(({ type }) => type), last: events.at(-1), ends, worked: attempt.worked.mock.calls.length };
}

describe("an answer", () => {
  test.each<[string, readonly (GenerateEvent | number | "throws")[], Partial<typeof limits>, RegExp]>([
    ["whose first token is late", [Infinity], { firstToken: 50 }, /sent no token within 0.05 seconds/],
    ["with a gap", [token(1), Infinity], { gap: 50 }, /sent no further token within 0.05 seconds/],
    ["that takes too long altogether", [token(1), 60, token(2), Infinity], { total: 100 }, /did not end its answer within 0.1 seconds/],
    ["that stops without an end", [token(1)], {}, /without a terminal event/],
    ["that breaks", [token(1), "throws"], {}, /broke off/],
    ["that says it failed", [token(1), failed], {}, /it broke/],
  ])("%s ends in one error event, which counts against the backend", async (_name, script, changes, message) => {
    const { types, last, ends } = await run(script, changes);
    expect(types.filter((type) => type === "error")).toHaveLength(1);
    expect(types.at(-1)).toBe("error");
    expect(last).toMatchObject({ failure: { status: 502, retryable: true, message: expect.stringMatching(message) as string } });
    expect(ends[0]).toBe("failure");
  });

  test("that is whole counts for it, once its end is there", async () => {
    const { types, ends, worked } = await run([token(1), token(2), finish]);
    expect(types).toEqual(["token", "token", "finish"]);
    expect([ends[0], worked]).toEqual(["success", 1]);
  });

  test("whose reader leaves counts for nothing", async () => {
    const { ends } = await run([token(1), token(2), Infinity], {}, 1);
    expect(ends[0]).toBe("neither");
  });

  test("may take its time as long as each token comes", async () => {
    const { types } = await run([40, token(1), 40, token(2), 40, finish], { firstToken: 500, gap: 500 });
    expect(types).toEqual(["token", "token", "finish"]);
  });
});
