/** One replica on vLLM for all tests of this folder, with a tiny model in f32. */
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { TestProject } from "vitest/node";
import { inRepository } from "../../../infra/local/paths.ts";
import { vllmPython } from "../../../infra/local/python/setup-python.ts";
import { run } from "../../../infra/local/run.ts";
import { until } from "../../../workers/waiting/within.ts";
import { freePort } from "../../support/free-port.ts";
import type {} from "./provided.ts";

const key = "key-of-the-replica-of-the-tests";
const tokenizerDigest = "3".repeat(64);
/** One thread, since the tensors are tiny. */
const quiet = {
  ...{
    HF_HUB_OFFLINE: "1",
    OMP_NUM_THREADS: "1",
    TRANSFORMERS_OFFLINE: "1",
    VLLM_CPU_KVCACHE_SPACE: "1",
    VLLM_CPU_OMP_THREADS_BIND: "nobind",
  },
  ...{ VLLM_LOGGING_LEVEL: "ERROR", VLLM_NO_USAGE_STATS: "1" },
};
const startMilliseconds = 300_000;

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "spikingbrain-replica-"));
  const path = [inRepository("gpu-backend"), inRepository("test/vllm"), inRepository("test/golden")].join(delimiter);
  const environment = { ...quiet, PYTHONPATH: path };
  const model = join(folder, "tiny.gguf");
  await run(vllmPython, [inRepository("test/vllm/support/pool_model.py"), model], { env: environment });
  writeFileSync(join(folder, "key"), `${key}\n`);
  const port = await freePort();
  const log = openSync(join(folder, "log"), "w");
  const replica = spawn(
    vllmPython,
    [
      ...["-m", "spikingbrain_vllm", "serve", model, "--port", String(port), "--key-file", join(folder, "key"), "--served-id", "tiny"],
      // Some tests ask forty things at once, and count what comes from a state and not from the prefix cache.
      ...["--tokenizer-sha256", tokenizerDigest, "--most-requests", "64"],
      ...["--", "--dtype", "float32", "--enforce-eager", "--max-num-seqs", "16", "--no-enable-prefix-caching"],
    ],
    { env: { ...process.env, ...environment, TMPDIR: folder }, stdio: ["ignore", log, log] },
  );
  const stop = async () => {
    await stopped(replica);
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${String(port)}`;
  try {
    await ready(url, replica);
  } catch (cause) {
    process.stderr.write(readFileSync(join(folder, "log"), "utf8").slice(-4000));
    await stop();
    throw cause;
  }
  const file = readFileSync(model);
  const digest = createHash("sha256").update(file).digest("hex");
  project.provide("replica", { url, key, model: file.toString("base64"), digest, tokenizerDigest });
  return stop;
}

async function ready(url: string, replica: ChildProcess): Promise<void> {
  const look = async () => {
    if (replica.exitCode !== null) throw new Error("the replica has ended");
    const answer = await fetch(`${url}/ready`, { headers: { authorization: `Bearer ${key}` } }).catch(() => undefined);
    await answer?.body?.cancel();
    return answer?.status === 200 ? true : undefined;
  };
  await until(look, { milliseconds: startMilliseconds, everyMilliseconds: 200 }, () => {
    throw new Error("the replica did not become ready");
  });
}

async function stopped(replica: ChildProcess): Promise<void> {
  if (replica.exitCode !== null) return;
  const exit = once(replica, "exit");
  // Nothing runs any more, so that it need not drain; its engine's processes end with it.
  replica.kill("SIGKILL");
  await exit;
}
