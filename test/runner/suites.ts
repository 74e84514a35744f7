/** The suites of `npm test`, in the order they run: the quick and the deep ones first, whole-stack ones last. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checks, vllmFolders } from "../../infra/checks.ts";
import { inRepository } from "../../infra/local/paths.ts";
import { run, runAndCapture } from "../../infra/local/run.ts";
import { venvPython, vllmPython } from "../../infra/local/python/setup-python.ts";
import { quietWrangler } from "../../infra/local/stack.ts";
import { countCargo, countPytest, countVitest, settle, sum, type Counts } from "./counts.ts";

export type Requirement = "model" | "web page" | "python" | "torch" | "parity" | "vllm" | "rust" | "chromium";

export interface Suite {
  readonly name: string;
  readonly needs: readonly Requirement[];
  run(): Promise<Counts>;
}

/** No suite takes nearly this long on a free machine, and a busy one takes several times as long; it ends one that hangs. */
const suiteTimeoutMilliseconds = 1_200_000;
/** It starts some dozens of engines. */
const vllmTimeoutMilliseconds = 1_200_000;
/** Three starts of an engine. */
const poolTimeoutMilliseconds = 1_500_000;

export const suites: readonly Suite[] = [
  { name: "check", needs: ["torch", "rust"], run: runChecks },
  { name: "cargo", needs: ["rust"], run: runCargo },
  { name: "node", needs: ["model", "python"], run: () => runVitest("node") },
  { name: "workerd", needs: ["model", "web page"], run: () => runVitest("workerd") },
  // The cap of Cloudflare's isolates, which the local runtime does not enforce by itself: 1,936 WebAssembly pages are 121 MiB of linear memory.
  { name: "engine", needs: ["model"], run: () => runVitest("engine", { MINIFLARE_WORKERD_V8_FLAGS: "--wasm-max-mem-pages=1936" }) },
  { name: "pytest", needs: ["torch", "parity", "model"], run: runPytest },
  { name: "vllm", needs: ["vllm", "model"], run: runVllm },
  { name: "edge", needs: ["model", "web page", "python", "chromium"], run: () => runVitest("edge") },
  { name: "pool", needs: ["vllm", "model", "web page", "python"], run: () => runVitest("pool", {}, poolTimeoutMilliseconds) },
  { name: "page", needs: ["model", "web page", "chromium"], run: () => runVitest("page") },
];

async function runVitest(
  project: string,
  environment: Readonly<Record<string, string>> = {},
  timeoutMilliseconds = suiteTimeoutMilliseconds,
): Promise<Counts> {
  const directory = mkdtempSync(join(tmpdir(), "spikingbrain-vitest-"));
  const report = join(directory, "report.json");
  try {
    const { status } = await run(
      process.execPath,
      [
        ...[inRepository("node_modules/vitest/vitest.mjs"), "run", "--project", project],
        ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`, "--silent=passed-only"],
      ],
      { env: { ...quietWrangler, ...environment }, timeout: timeoutMilliseconds },
    );
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

async function runPytest(): Promise<Counts> {
  const { status, output } = await runAndCapture(venvPython, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test/gpu-backend"], {
    timeout: suiteTimeoutMilliseconds,
  });
  return settle(countPytest(output), status === 0);
}

/** In vLLM's environment, where alone mypy knows vLLM's types; then the pool's backend against a replica. */
async function runVllm(): Promise<Counts> {
  const { status: types } = await run(vllmPython, [
    ...["-m", "mypy", "--config-file", "gpu-backend/pyproject.toml", "--cache-dir", ".cache/mypy-vllm", ...vllmFolders],
  ]);
  const { status, output } = await runAndCapture(vllmPython, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test/vllm"], {
    timeout: vllmTimeoutMilliseconds,
  });
  const checked = types === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  return sum([checked, settle(countPytest(output), status === 0), await runVitest("vllm")]);
}

async function runChecks(): Promise<Counts> {
  const results: Counts[] = [];
  for (const check of await checks()) {
    console.log(`- ${check.name}`);
    results.push((await check.run()) ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
  }
  return settle(sum(results), true);
}
