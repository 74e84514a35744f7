/** Writes gpu-backend/requirements-*.lock anew from pyproject.toml, with hashes for every platform and without an index address. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inRepository } from "../paths.ts";
import { findPython } from "./python.ts";
import { reportFailure, run } from "../run.ts";

const uvVersion = "0.13.9";
/** What torch's wheel for Linux needs beside a GPU and nowhere else: gigabytes. `cuda_stand_in.py` says how torch loads without them. */
const acceleratorPackages = [
  ...["cuda-bindings", "cuda-pathfinder", "cuda-toolkit", "nvidia-cublas", "nvidia-cuda-cupti", "nvidia-cuda-nvrtc"],
  ...["nvidia-cuda-runtime", "nvidia-cudnn-cu13", "nvidia-cufft", "nvidia-cufile", "nvidia-curand", "nvidia-cusolver"],
  ...["nvidia-cusparse", "nvidia-cusparselt-cu13", "nvidia-nccl-cu13", "nvidia-nvjitlink", "nvidia-nvshmem-cu13", "nvidia-nvtx", "triton"],
];

const universal = ["--universal"];
const withoutAccelerators = acceleratorPackages.flatMap((name) => ["--no-emit-package", name]);
/** vLLM's wheels are for Linux. */
const linux = ["--python-platform", "x86_64-manylinux_2_28"];

const directory = mkdtempSync(join(tmpdir(), "spikingbrain-lock-"));

async function mustRun(command: string, args: readonly string[]): Promise<void> {
  const { status } = await run(command, args, { cwd: inRepository("gpu-backend") });
  if (status !== 0) throw new Error(`\`${command} ${args.join(" ")}\` failed (status ${String(status)})`);
}

try {
  await mustRun(await findPython(), ["-m", "venv", directory]);
  await mustRun(join(directory, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", `uv==${uvVersion}`]);
  // All of these share one environment, so their versions must agree; the routers, the clients and the two for vLLM have their own.
  const constraint = ["--constraint", "requirements-test.lock"];
  for (const [extra, choices] of [
    ["test", universal],
    ["bench", [...universal, ...constraint]],
    ["evaluate", [...universal, ...constraint]],
    ["model", [...universal, ...constraint, ...withoutAccelerators]],
    ["parquet", [...universal, ...constraint]],
    ["parity", [...universal, ...constraint]],
    ["routers", linux],
    ["clients", universal],
    ["vllm", [...linux, "--override", "vllm-overrides.txt", ...withoutAccelerators]],
    ["vllm-gpu", linux],
  ] as const) {
    await mustRun(join(directory, "bin/uv"), [
      ...["pip", "compile", "pyproject.toml", "--quiet", "--extra", extra, ...choices, "--output-file", `requirements-${extra}.lock`],
      ...["--generate-hashes", "--python-version", "3.11", "--no-emit-index-url"],
      ...["--custom-compile-command", "npm run lock:python"],
    ]);
  }
} catch (error) {
  reportFailure(error);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
