import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { startGroup } from "../../../infra/local/process-group.ts";
import { startStack } from "../../../infra/local/stack.ts";

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("startGroup", () => {
  it("ends the children of a child too, also those that ignore a polite signal", async () => {
    const grandchild = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')";
    const program = `
      const child = require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(grandchild)}]);
      child.stdout.once("data", () => console.log(child.pid));
      setInterval(() => {}, 1000);`;
    const group = startGroup(process.execPath, ["-e", program], { cwd: ".", env: process.env });
    onTestFinished(() => group.stop());
    if (group.child.stdout === null) throw new Error("the group has no output");
    const [line] = (await once(group.child.stdout, "data")) as [Buffer];
    const pid = Number(line.toString("utf8"));
    expect(isAlive(pid)).toBe(true);
    await group.stop();
    for (let tries = 0; tries < 100 && isAlive(pid); tries += 1) await delay(20);
    expect(isAlive(pid)).toBe(false);
    expect(isAlive(group.child.pid ?? 0)).toBe(false);
  });
});

describe("startStack", () => {
  it("says so when its port is in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await expect(startStack({ port })).rejects.toThrow(`Port ${String(port)} is in use by another program`);
  });
});
