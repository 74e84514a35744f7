/**
 * Makes gpu-backend/.venv hold exactly what the lock files say, and our own packages importable in it. `--model` adds torch, half a
 * gigabyte; `--parquet` adds pyarrow, `--parity` adds transformers, which tests compare with; `--bench` adds llama.cpp for comparison, which
 * compiles for minutes; `--evaluate` adds lm-eval. `--vllm` makes gpu-backend/.venv-vllm instead, whose versions are vLLM's, with the project
 * installed in it: vLLM finds `spikingbrain_vllm` by the entry point of an installed distribution. `--routers` makes gpu-backend/.venv-routers,
 * with what the pool is measured beside; `--clients` gpu-backend/.venv-clients, with libraries that are clients of the API.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { inRepository, repositoryRoot } from "../paths.ts";
import { findPython } from "./python.ts";
import { capture, isMain, reportFailure, run } from "../run.ts";

const environment = inRepository("gpu-backend/.venv");
export const venvPython = inRepository("gpu-backend/.venv/bin/python");
const vllmEnvironment = inRepository("gpu-backend/.venv-vllm");
const routersEnvironment = inRepository("gpu-backend/.venv-routers");
export const routersPython = inRepository("gpu-backend/.venv-routers/bin/python");
export const vllmPython = inRepository("gpu-backend/.venv-vllm/bin/python");
const clientsEnvironment = inRepository("gpu-backend/.venv-clients");
const standIn = inRepository("infra/local/python/cuda_stand_in.py");
const makers = [inRepository("infra/local/python/setup-python.ts"), standIn];

const optional = ["model", "parquet", "parity", "bench", "evaluate"] as const;

export async function setupPython(extra: "test" | (typeof optional)[number]): Promise<void> {
  await install(environment, extra, async (python) => {
    const packages = await sitePackages(python);
    writeFileSync(join(packages, "spikingbrain.pth"), `${inRepository("gpu-backend")}\n`);
    if (extra === "model") await standInForCuda(python, packages);
  });
}

/** A second environment: vLLM for CPUs, and this project in it. */
export async function setupVllm(): Promise<void> {
  await requireLibrary("libnuma.so.1", "libnuma1");
  await install(
    vllmEnvironment,
    "vllm",
    async (python) => {
      await standInForCuda(python, await sitePackages(python));
      const project = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
        "--editable",
        inRepository("gpu-backend"),
      ];
      await mustRun(python, ["-m", "pip", "install", ...project], "pip could not install this project");
    },
    [inRepository("gpu-backend/pyproject.toml")],
  );
}

/** A third environment: routers that the pool is measured beside. Their wheels are for Linux. */
export async function setupRouters(): Promise<void> {
  await install(routersEnvironment, "routers", () => Promise.resolve());
}

/** A fourth environment: libraries that tests use the API by. They need another version of openai's client than the first one has. */
export async function setupClients(): Promise<void> {
  await install(clientsEnvironment, "clients", () => Promise.resolve());
}

/** Makes an environment hold exactly what the extra's lock says, unless it does; `finish` does what is left to do, from `sources`. */
async function install(
  folder: string,
  extra: string,
  finish: (python: string) => Promise<void>,
  sources: readonly string[] = [],
): Promise<void> {
  const python = join(folder, "bin/python");
  const lock = inRepository(`gpu-backend/requirements-${extra}.lock`);
  const stamp = join(folder, `.spikingbrain-${extra}`);
  const digest = digestOf(lock, ...makers, ...sources);
  if (existsSync(python) && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  if (!existsSync(python)) {
    console.log(`Making ${relative(repositoryRoot, folder)} …`);
    await mustRun(
      await findPython(),
      ["-m", "venv", "--clear", folder],
      "Python's venv module is needed (Debian: apt-get install python3-venv)",
    );
  }
  console.log(`Installing gpu-backend/requirements-${extra}.lock …`);
  const locked = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", lock];
  await mustRun(python, locked, "pip could not install the locked packages; run the same command again once the cause above is gone");
  await finish(python);
  writeFileSync(stamp, digest);
}

async function standInForCuda(python: string, packages: string): Promise<void> {
  if (process.platform !== "linux") return;
  await mustRun(python, [standIn, join(packages, "torch/lib")], "It needs cc, ldd and readelf (Debian: apt-get install gcc binutils)");
}

/** A system library that vLLM's extension for CPUs is linked with; asked for before gigabytes are installed. */
export async function requireLibrary(name: string, debianPackage: string): Promise<void> {
  const { status } = await capture(await findPython(), ["-c", `import ctypes; ctypes.CDLL("${name}")`]);
  if (status !== 0) throw new Error(`vLLM needs the system library ${name}. Install it (Debian: apt-get install ${debianPackage}).`);
}

/** What was installed, and how. */
function digestOf(...files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest("hex");
}

async function sitePackages(python: string): Promise<string> {
  const { output } = await capture(python, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]);
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
    if (process.argv.includes("--vllm")) await setupVllm();
    if (process.argv.includes("--routers")) await setupRouters();
    if (process.argv.includes("--clients")) await setupClients();
  } catch (error) {
    reportFailure(error);
  }
}
