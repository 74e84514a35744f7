/** The real engine in the real runtime, under the memory cap, over a tiny model whose state is constant: no window or page is as long as this text. */
import { describe, expect, inject, it } from "vitest";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import { loadModel, type LoadedModel } from "../../../workers/engine/loaded-model.ts";
import { Scheduler } from "../../../workers/engine/scheduler.ts";
import { createModelLoader } from "../../../workers/engine/wasm-module.ts";
import type {} from "./provided.ts";
import { collect, request, tokensOf } from "./requests.ts";

const making = { alive: () => undefined, onTakenOver: () => undefined };
const requestTokens = 40_000;
const prompt = Array.from({ length: 20_000 }, (_unused, at) => (at * 7) % 29);

async function tinyModel(): Promise<LoadedModel> {
  const file = Uint8Array.from(atob(inject("constantStateModel")), (character) => character.charCodeAt(0));
  const sha256 = Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", file)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
  const manifest: ModelManifest = {
    id: "tiny",
    created: 0,
    ownedBy: "tests",
    sha256,
    tokenizerSha256: "0".repeat(64),
    bytes: file.length,
    shards: [{ file: "shard-000.bin", bytes: file.length, sha256 }],
    contextLength: 512,
    form: {
      layers: [
        { mixer: "linear", feedForward: "dense", count: 2 },
        { mixer: "window", feedForward: "dense", count: 2 },
      ],
      window: 7,
      keptTokens: 0,
      learnedSinks: 0,
      salientTokens: null,
      kvHeads: 2,
      headDim: 4,
    },
    origin: { license: null, teacher: null },
  };
  const files = {
    fetch: (input: RequestInfo | URL) => {
      const { pathname } = new URL(input instanceof Request ? input.url : input);
      return Promise.resolve(new Response(pathname.endsWith("manifest.json") ? JSON.stringify(manifest) : file));
    },
  };
  const options = { kvType: "int8", memoryLimitBytes: 121 * 1024 * 1024 } as const;
  return await loadModel(files, () => createModelLoader(options), requestTokens, making);
}

describe("20,000 tokens of a model whose state is constant", () => {
  it("are read in the memory of a few, and told on the way", { timeout: 120_000 }, async () => {
    const { engine, description } = await tinyModel();
    const { state, contextLength } = description;
    if (state === undefined) throw new Error("the description must have a state");
    expect({ contextLength, constant: state.constant }).toEqual({ contextLength: requestTokens, constant: true });

    const scheduler = new Scheduler(engine, description, {
      waitUntil: () => undefined,
      now: Date.now,
      yield: () => new Promise((resolve) => setTimeout(resolve, 0)),
      sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
      renew: () => undefined,
      onDefect: (error) => {
        throw error;
      },
    });
    const short = await collect(scheduler.submit(request({ prompt: prompt.slice(0, 600), maxTokens: 1 })));
    expect(tokensOf(short)).toHaveLength(1);
    const memory = engine.memoryBytes();
    const events = await collect(scheduler.submit(request({ prompt, maxTokens: 8, reportState: true })));
    expect(tokensOf(events)).toHaveLength(8);
    expect(events.at(-1)).toMatchObject({ type: "finish", state: { tokens: 20_007 } });
    const told = events.flatMap((event) => (event.type === "read" ? [event.state] : []));
    expect(told.map(({ tokens }) => tokens)).toEqual(told.map((_state, at) => 256 * (at + 1)));
    expect(Math.max(...told.map(({ bytes }) => bytes))).toBeLessThanOrEqual(state.bytes);
    // Token ids are all that a long text adds.
    const grown = engine.memoryBytes() - memory;
    expect(4 * grown).toBeLessThan(prompt.length * state.fullAttentionBytesPerToken);
  });
});
