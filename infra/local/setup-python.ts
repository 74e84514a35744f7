/** Makes gpu-backend/.venv hold exactly what the lock files say. `--bench` adds llama.cpp for comparison, which compiles for minutes. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { inRepository } from "./paths.ts";
import { findPython } from "./python.ts";
import { reportFailure, isMain, run } from "./run.ts";

const environment = inRepository("gpu-backend/.venv");
export const venvPython = inRepository("gpu-backend/.venv/bin/python");

export async function setupPython(extra: "test" | "bench"): Promise<void> {
  const lock = inRepository(`gpu-backend/requirements-${extra}.lock`);
  const stamp = inRepository(`gpu-backend/.venv/.spikingbrain-${extra}`);
  const digest = createHash("sha256").update(readFileSync(lock)).digest("hex");
  if (existsSync(venvPython) && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  if (!existsSync(venvPython)) {
    console.log("Making gpu-backend/.venv …");
    await mustRun(
      await findPython(),
      ["-m", "venv", "--clear", environment],
      "Python's venv module is needed (Debian: apt-get install python3-venv)",
    );
  }
  console.log(`Installing gpu-backend/requirements-${extra}.lock …`);
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", lock];
  await mustRun(venvPython, install, "pip could not install the locked packages; run the same command again once the cause above is gone");
  writeFileSync(stamp, digest);
}

async function mustRun(command: string, args: readonly string[], advice: string): Promise<void> {
  const { status } = await run(command, args, { env: { PIP_REQUIRE_VIRTUALENV: undefined } });
  if (status !== 0) throw new Error(`\`${command} ${args.slice(0, 3).join(" ")} …\` failed (status ${String(status)}). ${advice}.`);
}

if (isMain(import.meta.url)) {
  try {
    await setupPython("test");
    if (process.argv.includes("--bench")) await setupPython("bench");
  } catch (error) {
    reportFailure(error);
  }
}
