/** What backends say of a model is asked for once in a while, by one request for all. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ModelDescription } from "../../../workers/contracts/engine.ts";
import { describeModel } from "../../../workers/gateway/backend.ts";
import type { Environment } from "../../../workers/gateway/environment.ts";

const [digest, tokenizerDigest] = ["d".repeat(64), "t".repeat(64)];
const description: ModelDescription = {
  ...{ id: "one", digest, tokenizerDigest, architecture: "toy", parameters: 0, vocabularySize: 100, contextLength: 200 },
  ...{ abilities: [], kernel: "toy" },
};
const card = { id: "one", sha256: digest, tokenizerSha256: tokenizerDigest } as Parameters<typeof describeModel>[1];
const asked = vi.fn(() => Promise.resolve({ ok: true, value: [description] } as const));
const environment = { POOL: { models: asked } } as unknown as Environment;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});

afterEach(() => {
  vi.useRealTimers();
});

test("many requests at once ask one time for what has grown old", async () => {
  await describeModel(environment, card);
  expect(asked).toHaveBeenCalledTimes(1);
  vi.setSystemTime(Date.now() + 5_000);
  const found = await Promise.all(Array.from({ length: 10 }, () => describeModel(environment, card)));
  expect(asked).toHaveBeenCalledTimes(2);
  expect(found).toEqual(Array.from({ length: 10 }, () => description));
});

test.each([
  ["of long ago", 20_000],
  ["of a clock that went back since", -3_600_000],
])("nobody goes by what is %s", async (_, milliseconds) => {
  await describeModel(environment, card);
  const before = asked.mock.calls.length;
  vi.setSystemTime(Date.now() + milliseconds);
  await Promise.all([describeModel(environment, card), describeModel(environment, card)]);
  expect(asked.mock.calls.length - before).toBe(2);
});
