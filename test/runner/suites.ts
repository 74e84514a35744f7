/** The suites of `npm test`, in the order they run: the quick and the deep ones first, whole-stack ones last. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checks, vllmFolders } from "../../infra/checks.ts";
import { describeResult, runChecks } from "../../infra/checks/run-checks.ts";
import { inRepository } from "../../infra/local/paths.ts";
import { capture, run, runAndCapture } from "../../infra/local/run.ts";
import { venvPython, vllmPython } from "../../infra/local/python/setup-python.ts";
import { quietWrangler } from "../../infra/local/stack.ts";
import { countCargo, countPytest, countVitest, settle, sum, type Counts } from "./counts.ts";

export type Requirement = "model" | "web page" | "python" | "torch" | "parity" | "vllm" | "clients" | "rust" | "chromium";

export interface Suite {
  readonly name: string;
  readonly needs: readonly Requirement[];
  run(): Promise<Counts>;
}

/** No suite takes nearly this long on a free machine, and a busy one takes several times as long; it ends one that hangs. */
const suiteTimeoutMilliseconds = 2_400_000;

export const suites: readonly Suite[] = [
  { name: "check", needs: ["torch", "rust"], run: runAllChecks },
  { name: "cargo", needs: ["rust"], run: runCargo },
  { name: "node", needs: ["model", "web page", "python"], run: () => runVitest("node") },
  { name: "workerd", needs: ["model", "web page"], run: () => runVitest("workerd") },
  // The cap of Cloudflare's isolates, which the local runtime does not enforce by itself: 1,936 WebAssembly pages are 121 MiB of linear memory.
  {
    name: "engine",
    needs: ["model"],
    run: () => runVitest("engine", { environment: { MINIFLARE_WORKERD_V8_FLAGS: "--wasm-max-mem-pages=1936" } }),
  },
  { name: "pytest", needs: ["torch", "parity", "model"], run: () => runPytest(venvPython, ...twoFiles, "test/gpu-backend") },
  { name: "vllm", needs: ["vllm", "model"], run: runVllm },
  { name: "edge", needs: ["model", "web page", "python", "clients", "chromium"], run: runEdge },
  {
    name: "pool",
    needs: ["vllm", "model", "web page", "python"],
    run: () => runVitest("pool"),
  },
  { name: "page", needs: ["model", "web page", "chromium"], run: () => runVitest("page") },
];

interface VitestOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether what it says is kept until it ends, since another run speaks meanwhile. */
  readonly isQuiet?: boolean;
}

async function runVitest(project: string, { environment = {}, isQuiet = false }: VitestOptions = {}): Promise<Counts> {
  const directory = mkdtempSync(join(tmpdir(), "spikingbrain-vitest-"));
  const report = join(directory, "report.json");
  try {
    const { status, output } = await (isQuiet ? capture : run)(
      process.execPath,
      [
        ...[inRepository("node_modules/vitest/vitest.mjs"), "run", "--project", project],
        ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`, "--silent=passed-only"],
      ],
      { env: { ...quietWrangler, ...environment }, timeout: suiteTimeoutMilliseconds },
    );
    if (isQuiet) process.stdout.write(output);
    return settle(countVitest(readReport(report)), status === 0);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A runner that crashed leaves no report: an empty one, which counts as a failure. */
function readReport(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return JSON.stringify({ numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] });
  }
}

async function runCargo(): Promise<Counts> {
  const { status, output } = await runAndCapture("cargo", ["test", "--release", "--locked", "--workspace"], {
    cwd: inRepository("wasm"),
    timeout: suiteTimeoutMilliseconds,
  });
  return settle(countCargo(output), status === 0);
}

/** The stack itself, and beside it an engine that tests script: these mostly wait, for silences and for what expires. */
async function runEdge(): Promise<Counts> {
  return sum(await Promise.all([runVitest("edge"), runVitest("scripted", { isQuiet: true })]));
}

/** Two files at a time, each whole in one process and in the order of their names: CI has two cores, and most tests here take one thread. */
const twoFiles = ["--numprocesses", "2", "--dist", "loadfile", "--no-loadscope-reorder"];

async function runPytest(python: string, ...options: readonly string[]): Promise<Counts> {
  const { status, output } = await runAndCapture(python, ["-m", "pytest", "-q", "-p", "no:cacheprovider", ...options], {
    timeout: suiteTimeoutMilliseconds,
  });
  return settle(countPytest(output), status === 0);
}

/** In vLLM's environment, where alone mypy knows vLLM's types; then the pool's backend against a replica. */
async function runVllm(): Promise<Counts> {
  const most = await runPytest(vllmPython, ...twoFiles, "-m", "not ranks", "test/vllm");
  const ranks = await runPytest(vllmPython, "-m", "ranks", "test/vllm");
  return sum([most, ranks, ...(await Promise.all([checkVllmTypes(), runVitest("vllm")]))]);
}

async function checkVllmTypes(): Promise<Counts> {
  const options = ["--config-file", "gpu-backend/pyproject.toml", "--cache-dir", ".cache/mypy-vllm"];
  const { status, output } = await capture(vllmPython, ["-m", "mypy", ...options, ...vllmFolders]);
  process.stdout.write(output);
  return status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function runAllChecks(): Promise<Counts> {
  const results: Counts[] = [];
  await runChecks(await checks(), (check, result) => {
    console.log(describeResult(check, result));
    results.push(result.isPassed ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
  });
  return settle(sum(results), true);
}
