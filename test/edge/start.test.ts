/** `npm start` as a person runs it: it says how to use it, and however it ends it leaves nothing behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";
import { descendants, isAlive, listeningPorts } from "../support/processes.ts";
import { freePort } from "../../infra/local/free-port.ts";

/** What a port says to somebody who looks for a debugger or for data; "closed" where it ends the connection. */
async function answers(port: number): Promise<(number | string)[]> {
  const paths = ["/json", "/json/version", "/cdn-cgi/local/explorer/api/local/workers", "/core/do-storage", "/ready"];
  return await Promise.all(
    paths.map(async (path) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);
      return answer?.status ?? "closed";
    }),
  );
}

test("serves, prints how to use it, and ends everything on Ctrl-C", async () => {
  const port = await freePort();
  const child = spawn(process.execPath, [inRepository("infra/local/bootstrap.mjs"), "infra/local/start.ts"], {
    cwd: inRepository(),
    env: { ...process.env, PORT: String(port), API_KEYS: "", SPIKES: "released" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGTERM"));
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  while (!output.includes("Ctrl-C") && child.exitCode === null) await delay(100);

  const url = `http://127.0.0.1:${port}`;
  expect(output).toContain(`${url}/v1`);
  expect(output).toMatch(/Key: +sk-\w+/);
  expect(output).toContain(`curl -N ${url}/v1/chat/completions`);
  expect((await fetch(`${url}/ready`)).status).toBe(200);

  // The model spikes as SPIKES says, and a request can ask how much.
  const body = { model: /Model: +(\S+)/.exec(output)?.[1], prompt: "The sky is", max_tokens: 2, spikes: true };
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const { usage } = (await response.json()) as {
    readonly usage: { readonly spikes: { readonly mode: string; readonly layers: object[] } };
  };
  expect(usage.spikes).toMatchObject({ mode: "released", silent_share: expect.closeTo(0.17, 1) as number });
  expect(usage.spikes.layers).toHaveLength(30);

  const started = descendants(child.pid ?? 0);
  expect(started.length).toBeGreaterThan(1);
  const others = listeningPorts(started).filter((each) => each !== port);
  expect(others.length).toBeGreaterThan(0);
  for (const each of others) expect(new Set(await answers(each))).not.toContain(200);
  child.kill("SIGINT");
  expect(await exited).toEqual([0, null]);
  await expect.poll(() => started.filter(isAlive)).toEqual([]);
  await expect(fetch(`${url}/ready`)).rejects.toThrow();
});

const script = [process.execPath, inRepository("infra/local/bootstrap.mjs"), "infra/local/start.ts"];
const throughNpm = ["npm", "run", "--silent", "start"];

test.each([
  ["SIGTERM", script],
  ["SIGHUP", script],
  ["SIGKILL", script],
  ["SIGTERM", throughNpm],
  ["SIGKILL", throughNpm],
] as const)("%s to %s leaves no process and no port", async (signal, [command = "", ...args]) => {
  const port = await freePort();
  const child = spawn(command, args, {
    cwd: inRepository(),
    env: { ...process.env, PORT: String(port), API_KEYS: "", SPIKES: "" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = once(child, "exit");
  let started: number[] = [];
  await vi.waitFor(
    () => {
      started = descendants(child.pid ?? 0);
      expect(listeningPorts(started)).toContain(port);
    },
    { timeout: 120_000, interval: 100 },
  );
  expect(started.length).toBeGreaterThan(2);
  child.kill(signal);
  await exited;
  await vi.waitFor(
    () => {
      expect(started.filter(isAlive)).toEqual([]);
    },
    { timeout: 20_000, interval: 50 },
  );
  await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow();
});

test("a second start on the same port says whose it is, and ends; on another port it would not replace the model under the first", async () => {
  const port = await freePort();
  const start = (environment: Readonly<Record<string, string>>) => {
    const child = spawn(script[0] ?? "", script.slice(1), {
      cwd: inRepository(),
      env: { ...process.env, PORT: String(port), API_KEYS: "", SPIKES: "", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const said = { output: "", errors: "" };
    child.stdout.on("data", (chunk: Buffer) => (said.output += chunk.toString("utf8")));
    child.stderr.on("data", (chunk: Buffer) => (said.errors += chunk.toString("utf8")));
    return { child, said, exited: once(child, "close") as Promise<[number | null]> };
  };
  const both = [start({}), start({})];
  const [status] = await Promise.race(both.map(({ exited }) => exited));
  const loser = both.find(({ child }) => child.exitCode !== null);
  const winner = both.find(({ child }) => child.exitCode === null);
  if (loser === undefined || winner === undefined) throw new Error("one of two starts must go on");
  expect([status, loser.said.output]).toEqual([1, ""]);
  expect(loser.said.errors.trim()).toBe(
    `Port ${port} is in use by spikingbrain-edge in ${inRepository()} (process ${winner.child.pid}). ` +
      `\`kill ${winner.child.pid}\` stops it; another port: PORT=${port + 1} npm start`,
  );

  const other = start({ PORT: String(await freePort()), SPIKINGBRAIN_MODEL: "smollm2-135m" });
  expect(await other.exited).toEqual([1, null]);
  // Which one is named is open: the stack of these tests serves from here too.
  expect(other.said.errors).toMatch(/Process \d+ serves another model from this directory, on port \d+\./);

  await vi.waitFor(
    () => {
      expect(winner.said.output).toContain("Ctrl-C stops everything.");
    },
    { timeout: 120_000, interval: 100 },
  );
  expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(200);
  winner.child.kill("SIGINT");
  expect(await winner.exited).toEqual([0, null]);
});
