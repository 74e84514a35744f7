/** `npm start` as a person runs it: it says how to use it, and Ctrl-C leaves nothing behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Every process below the given one. */
function descendants(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const [, parent] = /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${entry}/stat`, "utf8")) ?? [];
      parents.set(Number(entry), Number(parent));
    } catch {
      // It ended while the list was read.
    }
  }
  const found = [root];
  for (const process of found) for (const [child, parent] of parents) if (parent === process) found.push(child);
  return found.slice(1);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
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
  child.kill("SIGINT");
  expect(await exited).toEqual([0, null]);
  for (let turn = 0; turn < 100 && started.some(isAlive); turn += 1) await delay(20);
  expect(started.filter(isAlive)).toEqual([]);
  await expect(fetch(`${url}/ready`)).rejects.toThrow();
});
