/** `npx spikingbrain` as a person runs it, with the built-in model. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { inRepository } from "../../../infra/local/paths.ts";
import { bestPackage } from "../../../infra/node/engine-package.ts";

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function spikingbrain(...args: string[]): Promise<Outcome> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [inRepository("infra/node/spikingbrain.mjs"), ...args]);
    return { status: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { readonly code: number } & Omit<Outcome, "status">;
    return { status: code, stdout, stderr };
  }
}

describe("the engine's build", () => {
  it("is the fastest that the host validates", () => {
    expect(bestPackage()).toBe("relaxed");
    expect(bestPackage((name) => name !== "relaxed")).toBe("simd128");
    expect(() => bestPackage(() => false)).toThrow("needs WebAssembly with SIMD");
  });
});

describe("spikingbrain logits", () => {
  const vector = (name: string) =>
    JSON.parse(readFileSync(inRepository(`test/golden/${name}.json`), "utf8")) as {
      readonly tokens: readonly number[];
      readonly logits: readonly (readonly number[])[];
    };
  const logits = async (...args: string[]) => {
    const { stdout } = await spikingbrain("logits", ...args);
    return (JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as { readonly logits: readonly (readonly number[])[] }).logits;
  };

  it.each(["off", "paper", "released"])("prints the reference's, spikes %s", async (mode) => {
    const { tokens, logits: expected } = vector(`seven-${mode}`);
    const found = await logits("--model", inRepository("test/golden/seven.gguf"), "--tokens", tokens.join(), "--spikes", mode);
    const largest = Math.max(...expected.flat().map(Math.abs));
    expect(found.map((row) => row.length)).toEqual(expected.map((row) => row.length));
    for (const [position, row] of expected.entries())
      for (const [id, logit] of row.entries()) expect(Math.abs((found[position]?.[id] ?? NaN) - logit)).toBeLessThan(1e-4 * largest);
  });
});

describe("spikingbrain serve", () => {
  it("names the options that were used", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const taken = await spikingbrain("serve", "--port", String(port));
    expect(taken.stderr).toContain(
      `Port ${String(port)} is in use by another program. Stop that one, or take another port: --port ${String(port + 1)}`,
    );
    server.close();
    await once(server, "close");
    const missing = await spikingbrain("serve", "--port", String(port), "--model", "/nowhere.gguf");
    expect(missing.stderr).toContain('--model: "/nowhere.gguf" is not a file; it must be the path of a GGUF or one of ');
  });
});

describe("spikingbrain inspect", () => {
  const model = inRepository("test/golden/seventy-six.gguf");
  const { sizes } = JSON.parse(readFileSync(inRepository("test/golden/seventy-six-off.json"), "utf8")) as {
    readonly sizes: { readonly parameters: number; readonly activeParameters: number; readonly int8: readonly (readonly number[])[] };
  };

  it("counts what the reference counts", async () => {
    const contexts = sizes.int8.map(([context]) => String(context));
    const { stdout } = await spikingbrain("inspect", "--model", model, "--json", "--context", ...contexts);
    expect(JSON.parse(stdout)).toMatchObject({
      parameters: sizes.parameters,
      activeParameters: sizes.activeParameters,
      storedTypes: { f32: 38 },
      layerKinds: { "linear+full moe": 1, "linear+window dense": 1 },
      state: {
        int8: sizes.int8.map(([context, headBytes = 0, pageBytes = 0, bytesPerToken]) => ({
          ...{ context, headBytes, pageBytes, bytesPerToken, bytes: headBytes + pageBytes },
        })),
      },
    });
  });

  it("says it in lines, too", async () => {
    const { stdout } = await spikingbrain("inspect", "--model", model, "--context", "2048");
    expect(stdout).toContain(`parameters           ${sizes.parameters.toLocaleString("en")}\n`);
    expect(stdout).toMatch(/\n +2,048 +[\d.]+ KiB +/);
  });
});

describe("spikingbrain snapshot", () => {
  const file = inRepository("test/golden/evicted-off.sbst");
  const model = inRepository("test/golden/evicted.gguf");

  it("says what a file holds", async () => {
    const { stdout } = await spikingbrain("snapshot", "inspect", file);
    const found = JSON.parse(stdout) as { readonly groups: readonly { readonly pages: number }[] } & Record<string, unknown>;
    expect(found).toMatchObject({
      ...{ tokens: 36, keysAndValues: "f32", recurrent: "f32", modelDigest: null, tokenizerDigest: null },
      bytes: statSync(file).size,
    });
    expect(found.groups).toHaveLength(1);
  });

  it("says whether a model takes it", async () => {
    expect(await spikingbrain("snapshot", "verify", file, "--model", model)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\{"holds":true,"tokens":36,"stateBytes":\d+\}\n$/) as string,
    });
    const other = await spikingbrain("snapshot", "verify", file, "--model", inRepository("test/golden/seven.gguf"));
    expect(other).toMatchObject({
      status: 1,
      stdout: '{"holds":false,"reason":"invalid state: it belongs to a model of another shape or spiking mode"}\n',
    });
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
    expect(stdout).toMatch(/^The [a-z]+ [a-z ]+.*\n$/);
  });

  it.each([
    [["generate"], "missing required argument 'text'"],
    [["generate", "x", "--max-tokens", "0"], "'0' is invalid. It must be an integer from 1 to 1000000."],
    [["generate", "x", "--kv", "int4"], "Allowed choices are f32, int8."],
    [["generate", "x", "--model", "/nowhere.gguf"], "/nowhere.gguf cannot be read"],
    [["generate", "x", "--model", inRepository("README.md")], "cannot be read as GGUF"],
    [["generate", "x", "--spikes", "some"], "Allowed choices are off, paper, released."],
    [["logits", "--tokens", "1,x"], 'Item 2 must be a token id (an integer from 0); it is "x".'],
    [["logits"], "required option '--tokens <ids>' not specified"],
    [["logits", "--tokens", "99999999"], "token 99999999 is not below the vocabulary size"],
    [["inspect", "--model", "/nowhere.gguf"], '"/nowhere.gguf" is not a file'],
    [["inspect", "--model", inRepository("README.md")], "not with 'GGUF'"],
    [["inspect", "--context", "-1"], "It must be an integer from 0"],
    [["snapshot", "inspect", "/nowhere.sbst"], '"/nowhere.sbst" cannot be read'],
    [["snapshot", "inspect", inRepository("README.md")], "its magic must be SBST"],
    [["paint"], "unknown command 'paint'"],
  ])("refuses %j in words", async (args, message) => {
    const { status, stderr } = await spikingbrain(...args);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/\n +at /);
  });
});
