/** `npx spikingbrain` as a person runs it, with the built-in model. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";
import { bestPackage } from "../../wasm/node/engine-package.ts";

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function spikingbrain(...args: string[]): Promise<Outcome> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [inRepository("wasm/node/spikingbrain.mjs"), ...args]);
    return { status: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { readonly code: number } & Omit<Outcome, "status">;
    return { status: code, stdout, stderr };
  }
}

describe("the engine's build", () => {
  it("is the fastest that the host validates", () => {
    expect(bestPackage()).toBe("relaxed");
    const relaxed = readFileSync(inRepository("wasm/pkg/relaxed/spikingbrain_bg.wasm"));
    expect(bestPackage((bytes) => !relaxed.equals(bytes))).toBe("simd128");
    expect(() => bestPackage(() => false)).toThrow("needs WebAssembly with SIMD");
  });
});

describe("spikingbrain generate", () => {
  it("continues a text, the same with every build", async () => {
    const args = ["generate", "The capital of France is", "--raw", "--max-tokens", "4"];
    const outcomes = await Promise.all(["relaxed", "simd128"].map((name) => spikingbrain(...args, "--package", name)));
    expect(outcomes.map(({ status }) => status)).toEqual([0, 0]);
    expect(outcomes[0]?.stdout).toContain("Paris");
    expect(outcomes[1]?.stdout).toBe(outcomes[0]?.stdout);
    expect(outcomes.map(({ stderr }) => stderr)).toEqual([
      expect.stringMatching(/^5 prompt tokens, .*; 4 tokens, .*; kernel relaxed\n$/),
      expect.stringMatching(/; kernel simd128\n$/),
    ]);
  });

  it("answers a message through the model's chat template", async () => {
    const { stdout } = await spikingbrain("generate", "Why is the sky blue?", "--max-tokens", "16");
    expect(stdout).toMatch(/^The sky .*\n$/);
  });

  it.each([
    [["generate"], "missing required argument 'text'"],
    [["generate", "x", "--max-tokens", "0"], "'0' is invalid. It must be an integer from 1 to 1000000."],
    [["generate", "x", "--kv", "int4"], "Allowed choices are f32, int8."],
    [["generate", "x", "--model", "/nowhere.gguf"], "/nowhere.gguf cannot be read"],
    [["generate", "x", "--model", inRepository("README.md")], "cannot be read as GGUF"],
    [["paint"], "unknown command 'paint'"],
  ])("refuses %j in words", async (args, message) => {
    const { status, stderr } = await spikingbrain(...args);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/\n +at /);
  });
});
