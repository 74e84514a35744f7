/** What backends say of a model is asked for once in a while, by one request for all. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ModelDescription } from "../../../workers/contracts/engine.ts";
import { ServiceError } from "../../../workers/contracts/errors.ts";
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

/** Each test begins long after the one before, whose answers nobody goes by any more. */
let begin = Date.now();
beforeEach(async () => {
  begin += 3_600_000;
  vi.useFakeTimers({ toFake: ["Date"], now: begin });
  asked.mockReset();
  asked.mockResolvedValue({ ok: true, value: [description] });
  await describeModel(environment, card);
  expect(asked).toHaveBeenCalledTimes(1);
});

afterEach(() => {
  vi.useRealTimers();
});

test("many requests at once ask one time for what has grown old", async () => {
  vi.setSystemTime(begin + 5_000);
  const found = await Promise.all(Array.from({ length: 10 }, () => describeModel(environment, card)));
  expect(asked).toHaveBeenCalledTimes(2);
  expect(found).toEqual(Array.from({ length: 10 }, () => description));
});

test("what is a little old is gone by, and asked anew beside that", async () => {
  const answer = Promise.withResolvers<Awaited<ReturnType<typeof asked>>>();
  asked.mockReturnValueOnce(answer.promise);
  vi.setSystemTime(begin + 3_000);
  // Nobody waits for the answer that does not come yet.
  expect(await describeModel(environment, card)).toEqual(description);
  expect(await describeModel(environment, card)).toEqual(description);
  expect(asked).toHaveBeenCalledTimes(2);
  answer.resolve({ ok: true, value: [{ ...description, contextLength: 300 }] });
  await answer.promise;
  await expect.poll(async () => (await describeModel(environment, card)).contextLength).toBe(300);
});

test("a pool that is away while it is asked beside a request fails the next that has to wait, and not that one", async () => {
  asked.mockRejectedValue(new Error("away"));
  vi.setSystemTime(begin + 3_000);
  expect(await describeModel(environment, card)).toEqual(description);
  vi.setSystemTime(begin + 6_000);
  await expect(describeModel(environment, card)).rejects.toThrow(ServiceError);
});

test.each([
  ["of long ago", 20_000],
  ["of a clock that went back since", -3_600_000],
])("nobody goes by what is %s", async (_, milliseconds) => {
  vi.setSystemTime(begin + milliseconds);
  await Promise.all([describeModel(environment, card), describeModel(environment, card)]);
  expect(asked).toHaveBeenCalledTimes(3);
});
