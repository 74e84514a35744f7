/** `npx spikingbrain serve` as a person runs it: the answers of the Workers' own engine, and conversations that outlive a start and its count of threads. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";
import { modelId, stackUrl } from "../support/edge-client.ts";
import { freePort } from "../../infra/local/free-port.ts";
import { descendants, isAlive } from "../support/processes.ts";

const key = `sk-${crypto.randomUUID()}`;

async function serve(port: number, threads: number): Promise<ChildProcess> {
  const args = [inRepository("infra/node/spikingbrain.mjs"), "serve", "--threads", String(threads), "--port", String(port)];
  const child = spawn(process.execPath, args, {
    cwd: inRepository(),
    env: { ...process.env, API_KEYS: "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGTERM"));
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  while (!output.includes("Ctrl-C") && child.exitCode === null) await delay(100);
  expect(output).toContain(`Loading ${modelId} over ${threads === 1 ? "1 thread" : `${String(threads)} threads`}`);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  const started = descendants(child.pid ?? 0);
  const exited = once(child, "exit");
  child.kill("SIGINT");
  expect(await exited).toEqual([0, null]);
  await expect.poll(() => started.filter(isAlive)).toEqual([]);
}

async function ask<T>(url: string, path: string, body: object): Promise<T> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${key}` };
  const response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as T;
}

interface Answer {
  readonly choices: readonly [{ readonly message: { readonly content: string } }];
  readonly usage: { readonly prompt_tokens_details: { readonly cached_tokens: number } };
}

const say = async (url: string, content: string, more: object = {}) => {
  const { choices, usage } = await ask<Answer>(url, "/v1/chat/completions", {
    model: modelId,
    messages: [{ role: "user", content }],
    max_tokens: 12,
    temperature: 0.7,
    seed: 5,
    ...more,
  });
  return { text: choices[0].message.content, cached: usage.prompt_tokens_details.cached_tokens };
};

test("serves from Node what the Workers serve, over any number of threads", async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${String(port)}`;
  const question = "Name three rivers of Europe.";
  const held = { response_format: { type: "json_object" } };
  const [expected, expectedHeld] = [await say(stackUrl, question), await say(stackUrl, question, held)];
  const first = await serve(port, 2);
  expect((await say(url, question)).text).toBe(expected.text);
  expect((await say(url, question, held)).text).toBe(expectedHeld.text);
  const { id } = await ask<{ readonly id: string }>(url, "/v1/sessions", { model: modelId });
  await say(url, "My name is Ada.", { session_id: id });
  const before = await say(url, "What is my name?", { session_id: id });
  expect(before.cached).toBeGreaterThan(10);
  const { id: copy } = await ask<{ readonly id: string }>(url, `/v1/sessions/${id}/fork`, {});
  const here = await say(url, "And again?", { session_id: copy });
  await end(first);

  const second = await serve(port, 1);
  const there = await say(url, "And again?", { session_id: id });
  expect(there).toEqual(here);
  expect(there.cached).toBeGreaterThan(before.cached);
  await end(second);
});
