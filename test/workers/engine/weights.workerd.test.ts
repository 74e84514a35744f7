import { describe, expect, it } from "vitest";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import type { ModelLoader, PartEngine } from "../../../workers/engine/engine-surface.ts";
import { loadModel } from "../../../workers/engine/loaded-model.ts";
import { loadWeights, readManifest } from "../../../workers/engine/weights.ts";
import { bindings } from "./bindings.ts";
import { engineError, FakeEngine } from "./fake-engine.ts";

const content = new TextEncoder().encode("a small file that stands for a model, in two shards");
const cut = 20;

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

type Files = Record<string, string | Uint8Array>;

async function twoShards(): Promise<Files> {
  const shards = [content.subarray(0, cut), content.subarray(cut)];
  const manifest: ModelManifest = {
    id: "tiny",
    created: 0,
    ownedBy: "tests",
    sha256: await sha256(content),
    tokenizerSha256: "0".repeat(64),
    bytes: content.length,
    shards: await Promise.all(
      shards.map(async (bytes, index) => ({ file: `shard-00${String(index)}.bin`, bytes: bytes.length, sha256: await sha256(bytes) })),
    ),
    contextLength: 8,
    form: { layers: [], window: null, keptTokens: 0, learnedSinks: 0, salientTokens: null, kvHeads: 1, headDim: 4 },
    origin: { license: null, weights: null, teacher: null },
    defaults: {},
    parameters: null,
    runsOn: ["engine"],
  };
  return { "manifest.json": JSON.stringify(manifest), "shard-000.bin": shards[0] ?? "", "shard-001.bin": shards[1] ?? "" };
}

function server(given: Files): Pick<Fetcher, "fetch"> {
  return {
    fetch: (input) => {
      const name = new URL(input instanceof Request ? input.url : input).pathname.replace("/model/", "");
      const body = given[name];
      return Promise.resolve(body === undefined ? new Response("none", { status: 404 }) : new Response(body));
    },
  };
}

interface TestedLoader extends ModelLoader {
  readonly pushed: number[];
  readonly skipped: number[];
}

/** `from`: where the first byte lies that is needed. */
function loader(from = 0): TestedLoader {
  const [pushed, skipped]: [number[], number[]] = [[], []];
  return {
    pushed,
    skipped,
    push: (chunk) => void pushed.push(...chunk),
    neededFrom: () => from,
    skip: (bytes) => void skipped.push(bytes),
    finish: () => new FakeEngine() as unknown as PartEngine,
    free: () => undefined,
  };
}

describe("loadWeights", () => {
  it("does not fetch a shard of which the loader needs nothing", async () => {
    const files = await twoShards();
    const { shards } = await readManifest(server(files));
    const [first = 0, second = 0] = shards.map(({ bytes }) => bytes);
    const target = loader(first);
    await loadWeights(server({ ...files, "shard-000.bin": "" }), { shards }, target, () => undefined);
    expect([target.skipped, target.pushed.length]).toEqual([[first], second]);
  });

  it("pushes the shards in order and reports progress before it touches the loader", async () => {
    const target = loader();
    let progress = 0;
    const files = server(await twoShards());
    const manifest = await readManifest(files);
    await loadWeights(files, manifest, target, () => {
      progress += 1;
    });
    expect(new Uint8Array(target.pushed)).toEqual(content);
    expect(manifest.id).toBe("tiny");
    expect(progress).toBeGreaterThanOrEqual(3);
  });

  it("stops where another object has taken over", async () => {
    const target = loader();
    const giveUp = (): void => {
      throw new Error("taken over");
    };
    const files = server(await twoShards());
    await expect(loadWeights(files, await readManifest(files), target, giveUp)).rejects.toThrow("taken over");
    expect(target.pushed).toEqual([]);
  });

  it.each<[name: string, change: (given: Files) => Files, message: RegExp]>([
    [
      "a shard with a changed byte",
      (given) => ({ ...given, "shard-001.bin": content.slice(cut).fill(1, 3, 4) }),
      /shard-001.bin must have sha256 \w{64}; it has/,
    ],
    [
      "a shard that is cut off",
      (given) => ({ ...given, "shard-000.bin": content.slice(0, cut - 1) }),
      /shard-000.bin must have 20 bytes; it has 19/,
    ],
    ["a shard that is too long", (given) => ({ ...given, "shard-000.bin": content }), /shard-000.bin must have 20 bytes; it has more/],
    [
      "a shard that is not there",
      ({ "shard-001.bin": _gone, ...given }) => given,
      /shard-001.bin is missing; `npm run setup:model` writes it/,
    ],
    ["no manifest", ({ "manifest.json": _gone, ...given }) => given, /manifest.json is missing; `npm run setup:model` writes it/],
    ["a manifest that is not JSON", (given) => ({ ...given, "manifest.json": "{" }), /manifest.json is not JSON/],
    [
      "a manifest of an older set-up",
      (given) => ({ ...given, "manifest.json": '{"id":"a","sha256":"b","tokenizerSha256":"c","shards":[{}]}' }),
      /form must say how .* `npm run setup:model`/,
    ],
    [
      "a manifest without the tokenizer's digest",
      (given) => ({ ...given, "manifest.json": '{"id":"a","sha256":"b","shards":[{}]}' }),
      /tokenizerSha256 must be .* `npm run setup:model`/,
    ],
    [
      "a manifest without shards",
      (given) => ({ ...given, "manifest.json": '{"id":"a","sha256":"b","tokenizerSha256":"c"}' }),
      /shards must be a list/,
    ],
  ])("refuses %s with the code model_invalid", async (_name, change, message) => {
    const files = server(change(await twoShards()));
    const loading = readManifest(files).then((manifest) => loadWeights(files, manifest, loader(), () => undefined));
    await expect(loading).rejects.toMatchObject({ failure: { code: "model_invalid", message: expect.stringMatching(message) as string } });
  });

  it("reads what set-up wrote", async () => {
    const response = await bindings.MODEL_FILES.fetch("https://model-files.invalid/model/manifest.json");
    const manifest = await response.json<ModelManifest>();
    expect(manifest.shards.reduce((bytes, shard) => bytes + shard.bytes, 0)).toBe(manifest.bytes);
  });
});

describe("loadModel", () => {
  const making = { alive: () => undefined, onTakenOver: () => undefined };

  it("says that a model does not fit instead of asking to come back later, and frees what was taken", async () => {
    let freed = 0;
    const full = {
      ...loader(),
      push: () => {
        throw engineError("out_of_memory", "96 bytes needed for weights, 5 free");
      },
      free: () => {
        freed += 1;
      },
    };
    const failure = { code: "model_invalid", status: 500, retryable: false };
    const message = expect.stringMatching(/MEMORY_LIMIT_MIB.*96 bytes needed/) as string;
    const files = server(await twoShards());
    await expect(loadModel(files, () => full, 100, making)).rejects.toMatchObject({ failure: { ...failure, message } });
    expect(freed).toBe(1);
  });
});
