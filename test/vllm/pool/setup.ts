/** A replica of ours and vLLM's own server for all tests of this folder, each with the same tiny model in f32. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { TestProject } from "vitest/node";
import { inRepository } from "../../../infra/local/paths.ts";
import { vllmPython } from "../../../infra/local/python/setup-python.ts";
import { run } from "../../../infra/local/run.ts";
import { freePort } from "../../../infra/local/free-port.ts";
import type {} from "./provided.ts";
import { PythonServer } from "./python-server.ts";

const key = "key-of-the-servers-of-the-tests";
const tokenizerDigest = "3".repeat(64);
const pythonPath = [inRepository("gpu-backend"), inRepository("test/vllm"), inRepository("test/golden")].join(delimiter);
/** One thread, since the tensors are tiny. */
const quiet = {
  ...{
    HF_HUB_OFFLINE: "1",
    OMP_NUM_THREADS: "1",
    TRANSFORMERS_OFFLINE: "1",
    VLLM_CPU_KVCACHE_SPACE: "1",
    VLLM_CPU_OMP_THREADS_BIND: "nobind",
  },
  ...{ VLLM_LOGGING_LEVEL: "ERROR", VLLM_NO_USAGE_STATS: "1", PYTHONPATH: pythonPath },
};
// Some tests ask forty things at once, and count what comes from a state and not from the prefix cache.
const engine = ["--dtype", "float32", "--enforce-eager", "--max-num-seqs", "16", "--no-enable-prefix-caching"];

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "spikingbrain-servers-"));
  const [gguf, model, keys] = [join(folder, "tiny.gguf"), join(folder, "tiny"), join(folder, "keys")];
  await run(vllmPython, [inRepository("test/vllm/support/pool_model.py"), gguf, model], { env: quiet });
  writeFileSync(keys, `${key}\n`);
  const place = { folder, key, environment: quiet };
  const ports = [await freePort(), await freePort()].map(String) as [string, string];
  const replica = new PythonServer({ ...place, port: ports[0], ready: "/ready" }, [
    ...["-m", "spikingbrain_vllm", "serve", gguf, "--port", ports[0], "--key-file", keys, "--served-id", "tiny"],
    ...["--tokenizer-sha256", tokenizerDigest, "--most-requests", "64", "--", ...engine],
  ]);
  const plain = new PythonServer({ ...place, port: ports[1], ready: "/v1/models" }, [
    ...["-m", "vllm.entrypoints.openai.api_server", "--model", model, "--served-model-name", "tiny", "--port", ports[1], "--api-key", key],
    ...["--skip-tokenizer-init", "--generation-config", "vllm", "--enable-prompt-tokens-details", ...engine],
  ]);
  const stop = async () => {
    await Promise.all([replica.stop(), plain.stop()]);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all([replica.ready(), plain.ready()]);
  } catch (cause) {
    await stop();
    throw cause;
  }
  const file = readFileSync(gguf);
  const digest = createHash("sha256").update(file).digest("hex");
  project.provide("replica", { url: replica.url, key, model: file.toString("base64"), digest, tokenizerDigest });
  project.provide("plain", { url: plain.url, key });
  return stop;
}
