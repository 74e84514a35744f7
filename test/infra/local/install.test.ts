/** `npm ci` as bootstrap.mjs runs it, with a script in npm's place. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inRepository } from "../../../infra/local/paths.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

describe("ensureDependencies", () => {
  /** A checkout whose `npm` is a script of ours. */
  function checkout(script: string): { root: string; path: string } {
    const root = temporaryDirectory();
    const bin = join(root, "bin");
    mkdirSync(bin);
    writeFileSync(join(root, "package-lock.json"), "{}");
    writeFileSync(join(bin, "npm"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return { root, path: `${bin}:${process.env.PATH ?? ""}` };
  }

  async function install(root: string, path: string): Promise<{ status: number | null; stdout: string; stderr: string }> {
    const program = `import { ensureDependencies } from ${JSON.stringify(inRepository("infra/local/bootstrap.mjs"))};
      await ensureDependencies(${JSON.stringify(root)}).catch((error) => { console.error(error.message); process.exitCode = 1; });`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], { env: { ...process.env, PATH: path } });
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString("utf8")));
    child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString("utf8")));
    const [status] = (await once(child, "close")) as [number | null];
    return { status, ...output };
  }

  const fetches = `echo "npm http fetch GET 200 https://registry.example/a/-/a-1.0.0.tgz 12ms (cache miss)" >&2`;

  it("says how far npm is while it is silent, on standard error alone", async () => {
    const { root, path } = checkout(`${fetches}\nsleep 4\nmkdir -p node_modules\necho "added 1 package"`);
    const { status, stdout, stderr } = await install(root, path);
    expect([status, stdout]).toEqual([0, ""]);
    expect(stderr.trim().split("\n")).toEqual(["Installing dependencies (npm ci) …", "  3 s, packages fetched: 1", "added 1 package"]);
    expect(existsSync(join(root, "node_modules/.package-lock.sha256"))).toBe(true);
  });

  it("leaves out what npm says of the Node that it runs on", async () => {
    const { root, path } = checkout(`echo "npm warn EBADENGINE Unsupported engine {" >&2\nmkdir -p node_modules\necho "added 1 package"`);
    expect((await install(root, path)).stderr).toBe("Installing dependencies (npm ci) …\nadded 1 package\n");
  });

  it("shows npm's errors whole", async () => {
    const { root, path } = checkout(`${fetches}\necho "npm error code ENOTFOUND" >&2\necho "npm error network" >&2\nexit 1`);
    const { status, stderr } = await install(root, path);
    expect(status).toBe(1);
    expect(stderr).toContain("npm error code ENOTFOUND\nnpm error network\n`npm ci` failed. Its messages are above;");
  });

  it("installs once where two start at once", async () => {
    const script = `echo x >> runs\nsleep 1\nmkdir -p node_modules\necho "{}" > node_modules/.package-lock.json`;
    const { root, path } = checkout(script);
    const results = await Promise.all([install(root, path), install(root, path)]);
    expect(results.map(({ status }) => status)).toEqual([0, 0]);
    expect(readFileSync(join(root, "runs"), "utf8")).toBe("x\n");
    expect(results.map(({ stderr }) => stderr).join("")).toMatch(/Process \d+ is installing dependencies; waiting for it …/);
  });

  it("says so where there is no npm", async () => {
    const { root } = checkout("");
    rmSync(join(root, "bin/npm"));
    const { status, stderr } = await install(root, join(root, "bin"));
    expect(status).toBe(1);
    expect(stderr).toContain("`npm` cannot be started; it comes with Node.js.");
  });
});
