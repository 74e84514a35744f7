/**
 * Makes gpu-backend/.venv hold exactly what the lock files say, and our own packages importable in it. `--model` adds torch, half a
 * gigabyte; `--parquet` adds pyarrow, `--parity` adds transformers, which tests compare with; `--bench` adds llama.cpp for comparison, which
 * compiles for minutes; `--evaluate` adds lm-eval.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inRepository } from "../paths.ts";
import { findPython } from "./python.ts";
import { capture, isMain, reportFailure, run } from "../run.ts";

const environment = inRepository("gpu-backend/.venv");
export const venvPython = inRepository("gpu-backend/.venv/bin/python");
const standIn = inRepository("infra/local/python/cuda_stand_in.py");
const makers = [inRepository("infra/local/python/setup-python.ts"), standIn];

const optional = ["model", "parquet", "parity", "bench", "evaluate"] as const;

export async function setupPython(extra: "test" | (typeof optional)[number]): Promise<void> {
  const lock = inRepository(`gpu-backend/requirements-${extra}.lock`);
  const stamp = inRepository(`gpu-backend/.venv/.spikingbrain-${extra}`);
  const digest = digestOf(lock, ...makers);
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
  const packages = await sitePackages();
  writeFileSync(join(packages, "spikingbrain.pth"), `${inRepository("gpu-backend")}\n`);
  if (extra === "model" && process.platform === "linux") {
    await mustRun(
      venvPython,
      [standIn, join(packages, "torch/lib")],
      "It needs cc, ldd and readelf (Debian: apt-get install gcc binutils)",
    );
  }
  writeFileSync(stamp, digest);
}

/** What was installed, and how. */
function digestOf(...files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest("hex");
}

async function sitePackages(): Promise<string> {
  const { output } = await capture(venvPython, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]);
  return output.trim();
}

async function mustRun(command: string, args: readonly string[], advice: string): Promise<void> {
  const { status } = await run(command, args, { env: { PIP_REQUIRE_VIRTUALENV: undefined } });
  if (status !== 0) throw new Error(`\`${command} ${args.slice(0, 3).join(" ")} …\` failed (status ${String(status)}). ${advice}.`);
}

if (isMain(import.meta.url)) {
  try {
    await setupPython("test");
    for (const extra of optional) if (process.argv.includes(`--${extra}`)) await setupPython(extra);
  } catch (error) {
    reportFailure(error);
  }
}
