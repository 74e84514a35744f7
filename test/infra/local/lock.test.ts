import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { holders, nameOf, tryLock, withLock } from "../../../infra/local/lock.mjs";
import { inRepository, repositoryRoot } from "../../../infra/local/paths.ts";
import { claimPort, othersServing, portFrom } from "../../../infra/local/port.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { freePort } from "../../../infra/local/free-port.ts";

const lockModule = inRepository("infra/local/lock.mjs");

/** A process that runs a program beside this one; its output is its first line. */
async function beside(program: string): Promise<{ pid: number; line: string; kill: () => Promise<void> }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [data] = (await once(child.stdout, "data")) as [Buffer];
  const kill = async (): Promise<void> => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  return { pid: child.pid ?? 0, line: data.toString("utf8").trim(), kill };
}

const holding = (name: string, about: object): string =>
  `import { tryLock } from ${JSON.stringify(lockModule)};
   await tryLock(${JSON.stringify(name)}, ${JSON.stringify(about)}); console.log("held"); setInterval(() => {}, 1000);`;

describe("a lock", () => {
  it("is had by one process, which others are told of, until that one is killed", async () => {
    const name = `test-${nameOf(temporaryDirectory())}`;
    const other = await beside(holding(name, { what: "testing" }));
    expect(await tryLock(name, {})).toEqual({ holder: { pid: other.pid, what: "testing" } });
    expect(await holders(name)).toEqual([{ pid: other.pid, what: "testing" }]);
    await other.kill();
    const lock = await tryLock(name, {});
    if (!("release" in lock)) throw new Error("the lock of a killed process is not free");
    expect("holder" in (await tryLock(name, {}))).toBe(true);
    lock.release();
    expect(await holders(name)).toEqual([]);
  });

  it("lets one task at a time run, of eight processes that all find a dead one's lock", async () => {
    const directory = temporaryDirectory();
    const name = `test-${nameOf(directory)}`;
    const dead = await beside(holding(name, {}));
    await dead.kill();
    const log = join(directory, "log");
    writeFileSync(log, "");
    const program = `
      import { appendFileSync } from "node:fs";
      import { setTimeout as delay } from "node:timers/promises";
      import { withLock } from ${JSON.stringify(lockModule)};
      console.error = () => undefined;
      await withLock(${JSON.stringify(name)}, "testing", async () => {
        appendFileSync(${JSON.stringify(log)}, "(");
        await delay(20);
        appendFileSync(${JSON.stringify(log)}, ")");
      });
      console.log("done");`;
    await Promise.all(Array.from({ length: 8 }, () => beside(program)));
    expect(readFileSync(log, "utf8")).toBe("()".repeat(8));
  });

  it("lets one task at a time run, of four processes that want it forty times each", async () => {
    const directory = temporaryDirectory();
    const log = join(directory, "log");
    writeFileSync(log, "");
    // Nothing waits between two tries, so that processes come and go while others choose their turn.
    const program = `
      import { appendFileSync } from "node:fs";
      import { tryLock } from ${JSON.stringify(lockModule)};
      for (let done = 0; done < 40; ) {
        const lock = await tryLock(${JSON.stringify(`test-${nameOf(directory)}`)}, {});
        if (!("release" in lock)) continue;
        appendFileSync(${JSON.stringify(log)}, "(");
        await new Promise((resolve) => setImmediate(resolve));
        appendFileSync(${JSON.stringify(log)}, ")");
        lock.release();
        done += 1;
      }
      console.log("done");`;
    await Promise.all(Array.from({ length: 4 }, () => beside(program)));
    expect(readFileSync(log, "utf8")).toBe("()".repeat(160));
  });

  it("is had by exactly one of eight processes that take it at the same time", async () => {
    const name = `test-${nameOf(temporaryDirectory())}`;
    const at = Date.now() + 1000;
    const program = `
      import { tryLock } from ${JSON.stringify(lockModule)};
      while (Date.now() < ${String(at)});
      console.log("release" in (await tryLock(${JSON.stringify(name)}, {})));
      setInterval(() => {}, 1000);`;
    const lines = (await Promise.all(Array.from({ length: 8 }, () => beside(program)))).map(({ line }) => line);
    expect(lines.sort()).toEqual([...Array.from({ length: 7 }, () => "false"), "true"]);
  });

  it("is free again after a task that throws, and whoever waits says for whom, once", async () => {
    const name = `test-${nameOf(temporaryDirectory())}`;
    await expect(withLock(name, "failing", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => said.mockRestore());
    const other = await beside(holding(name, { what: "installing" }));
    const waiting = withLock(name, "installing", () => "done");
    await vi.waitFor(() => {
      expect(said).toHaveBeenCalled();
    });
    await other.kill();
    expect(await waiting).toBe("done");
    expect(said.mock.calls).toEqual([[`Process ${String(other.pid)} is installing; waiting for it …`]]);
  });
});

describe("claimPort", () => {
  it("names another start on the same port, before that one listens, and what to do", async () => {
    const port = await freePort();
    const other = await beside(holding(`port-${String(port)}`, { directory: "/elsewhere", port }));
    await expect(claimPort(port)).rejects.toThrow(
      new Error(
        `Port ${String(port)} is in use by spikingbrain-edge in /elsewhere (process ${String(other.pid)}). ` +
          `\`kill ${String(other.pid)}\` stops it; another port: PORT=${String(port + 1)} npm start`,
      ),
    );
    await other.kill();
    (await claimPort(port)).release();
  });

  it("is let by one start of two at once", async () => {
    const port = await freePort();
    const claims = await Promise.allSettled([claimPort(port), claimPort(port)]);
    expect(claims.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    for (const claim of claims) if (claim.status === "fulfilled") claim.value.release();
  });

  it("says so when another program has the port, and leaves the lock", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await expect(claimPort(port)).rejects.toThrow(`Port ${String(port)} is in use by another program.`);
    server.close();
    (await claimPort(port)).release();
  });

  it("tells of others that serve from this directory", async () => {
    const port = await freePort();
    const other = await beside(holding(`port-${String(port)}`, { directory: repositoryRoot, port }));
    expect(await othersServing()).toContainEqual({ pid: other.pid, directory: repositoryRoot, port });
    expect(await othersServing("/nowhere")).toEqual([]);
  });

  it("reads what PORT may be", () => {
    expect([portFrom(undefined), portFrom(""), portFrom("9000")]).toEqual([8787, 8787, 9000]);
  });
});
