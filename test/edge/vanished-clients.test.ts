/** Clients that vanish, over the real engine and all that lies before it: what is counted is what the engine computes afterwards. */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { configurationsWith, startStack, type Stack } from "../../infra/local/stack.ts";
import type { EngineLoad } from "../../workers/contracts/engine.ts";
import { modelId } from "../support/edge-client.ts";
import { freePort } from "../../infra/local/free-port.ts";

const readyTimeoutMilliseconds = 180_000;
/** Far more than are computed while a stream without a reader can still be taken up again. */
const maxTokens = 20_000;

let stack: Stack;
beforeAll(async () => {
  const configurations = configurationsWith({ gateway: "test/bench/worker/wrangler.toml" });
  stack = await startStack({ port: await freePort(), configurations });
  await stack.untilReady(readyTimeoutMilliseconds);
}, readyTimeoutMilliseconds);
afterAll(async () => {
  await stack.stop();
});

const load = async (): Promise<EngineLoad> => (await (await fetch(`${stack.url}/direct/load`)).json()) as EngineLoad;

test.each([
  ["a streamed chat", true],
  ["a whole answer", false],
])("%s ends with its client", { timeout: 240_000 }, async (_name, stream) => {
  const { generatedTokens: before } = await load();
  const client = new AbortController();
  const body = {
    model: modelId,
    messages: [{ role: "user", content: "Tell me a story." }],
    max_tokens: maxTokens,
    ignore_eos: true,
    stream,
  };
  const answer = fetch(`${stack.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: client.signal,
  }).then(async (response) => await response.text());
  const left = expect(answer).rejects.toThrow();
  await expect.poll(async () => (await load()).generatedTokens - before, { timeout: 60_000 }).toBeGreaterThan(4);
  expect((await load()).running).toBe(1);
  client.abort();
  await left;
  await expect.poll(async () => (await load()).running, { timeout: 120_000 }).toBe(0);
  const { generatedTokens, waiting } = await load();
  expect(waiting).toBe(0);
  expect(generatedTokens - before).toBeLessThan(maxTokens / 10);
  await delay(500);
  expect((await load()).generatedTokens).toBe(generatedTokens);
});
