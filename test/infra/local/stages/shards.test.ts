/** What each Worker of a model in stages is given of the model: the files that it reads, in a folder that no other plan writes to. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readWorkers } from "../../../../infra/deploy/workers.ts";
import { writeShards } from "../../../../infra/local/gguf/shards.ts";
import { engineConfigurationsFor } from "../../../../infra/local/models/spiking-engine.ts";
import { inRepository } from "../../../../infra/local/paths.ts";
import { writeStageConfigurations, type StagedModel } from "../../../../infra/local/stages/configurations.ts";
import { shardsOfStages } from "../../../../infra/local/stages/shards.ts";
import { sizesOf } from "../../../../infra/local/stages/sizes.ts";
import type { ModelShard } from "../../../../workers/contracts/model-files.ts";
import { loadWeights } from "../../../../workers/engine/weights.ts";
import { ModelLoader } from "../../../../wasm/pkg/simd128/spikingbrain.js";
import { evenCuts } from "../../../workers/engine/even-cuts.ts";

const gguf = inRepository("test/golden/seven.gguf");
const files = `dist/test-stages-${String(process.pid)}`;
const folder = inRepository(files, "model");
const written = new Set<string>();
let shards: readonly ModelShard[] = [];
let model: Required<StagedModel> = { stages: [], shardsOfStages: [] };

beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  ({ shards } = await writeShards(gguf, folder, Math.ceil(statSync(gguf).size / 12)));
  const { model: form } = await sizesOf(gguf, 1);
  const stages = evenCuts(2 * form.layers, form.vocabulary, 3);
  model = { stages, shardsOfStages: await shardsOfStages(folder, shards, stages) };
  writeFileSync(join(folder, "manifest.json"), JSON.stringify({ id: "seven", shards, ...model }));
});

afterAll(() => {
  for (const one of [inRepository(files), ...written]) rmSync(one, { recursive: true, force: true });
});

function write(of: StagedModel, change?: (text: string, stage: number) => string): readonly string[] {
  const { engine, stages } = writeStageConfigurations(of, { files, ...(change === undefined ? {} : { change }) });
  written.add(dirname(inRepository(engine)));
  return [engine, ...stages];
}

const below = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** Whether the part can be loaded from these shards alone. */
async function loads(at: number, has: readonly string[]): Promise<boolean> {
  const loader = new ModelLoader(JSON.stringify({ kvType: "int8", cut: model.stages[at] }));
  const fetched = (address: string): Promise<Response> => {
    const file = new URL(address).pathname.split("/").at(-1) ?? "";
    return Promise.resolve(has.includes(file) ? new Response(readFileSync(join(folder, file))) : new Response(null, { status: 404 }));
  };
  try {
    (await loadWeights({ areChecked: true, fetch: fetched }, { shards }, loader, () => undefined)).free();
    return true;
  } catch (cause) {
    expect(String(cause)).toContain("is missing");
    loader.free();
    return false;
  }
}

test("each part is loaded from its own shards, and from none of fewer", async () => {
  expect(shards.length).toBeGreaterThan(8);
  for (const [at, read] of model.shardsOfStages.entries()) {
    expect(read.length).toBeLessThan(shards.length);
    expect(await loads(at, read)).toBe(true);
    for (const without of read)
      expect(
        await loads(
          at,
          read.filter((file) => file !== without),
        ),
      ).toBe(false);
  }
  // All of the file is somebody's.
  expect(new Set(model.shardsOfStages.flat())).toEqual(new Set(shards.map(({ file }) => file)));
});

test("each Worker's assets are the manifest and the shards of its part", () => {
  const workers = readWorkers(write(model));
  expect(new Set(workers.map(({ role }) => role))).toEqual(new Set(["engine", "stage-1", "stage-2", "stage-3"].slice(0, workers.length)));
  const bytes = workers.map(({ role, raw, folder: at }) => {
    const stage = role === "engine" ? 0 : Number(role.split("-")[1]);
    const assets = join(at, raw.assets?.directory ?? "");
    const names = below(assets).map((path) => path.slice(assets.length + 1));
    expect(new Set(names)).toEqual(new Set(["model/manifest.json", ...(model.shardsOfStages[stage] ?? []).map((file) => `model/${file}`)]));
    for (const { file, bytes: expected } of shards)
      if (names.includes(`model/${file}`)) expect(statSync(join(assets, "model", file)).size).toBe(expected);
    return below(assets).reduce((sum, path) => sum + statSync(path).size, 0);
  });
  // Less than twice the model for all together: the header's shard, and those that two parts share.
  expect(bytes.reduce((sum, one) => sum + one, 0)).toBeLessThan(2 * statSync(gguf).size);
});

test("a stack of another plan or other settings has a folder of its own, and one of the same finds it as it is", () => {
  const contents = (paths: readonly string[]) =>
    below(dirname(inRepository(paths[0] ?? ""))).map((path) => [path, statSync(path).mtimeMs, readFileSync(path, "base64")]);
  const first = write(model);
  const before = contents(first);
  const settings = write(model, (text) => text.replace("[vars]", '[vars]\nHOP_MILLISECONDS = "5"'));
  const plan = write({ stages: model.stages.slice(0, 2), shardsOfStages: model.shardsOfStages.slice(0, 2) });
  expect(new Set([first, settings, plan].map(([engine]) => engine)).size).toBe(3);
  expect(contents(first)).toEqual(before);
  expect(write(model)).toEqual(first);
  expect(contents(first)).toEqual(before);
  expect(plan).toHaveLength(2);
});

test("a spiking mode is that of all its Workers", () => {
  const { engine, stages } = engineConfigurationsFor("paper", { stages: evenCuts(60, 49_152, 2) });
  written.add(dirname(inRepository(engine)));
  expect(stages.length).toBeGreaterThan(0);
  for (const path of [engine, ...stages]) expect(readFileSync(inRepository(path), "utf8")).toContain('SPIKES = "paper"');
});
