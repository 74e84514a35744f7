/** `npm start` as a person runs it: it says how to use it, and Ctrl-C leaves nothing behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";
import { descendants, isAlive, listeningPorts } from "../support/processes.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

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
  for (let turn = 0; turn < 100 && started.some(isAlive); turn += 1) await delay(20);
  expect(started.filter(isAlive)).toEqual([]);
  await expect(fetch(`${url}/ready`)).rejects.toThrow();
});
