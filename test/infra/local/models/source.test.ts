import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { readGguf, writeGguf } from "../../../../infra/local/gguf/layout.ts";
import { readGgufFacts } from "../../../../infra/local/gguf/metadata.ts";
import { readRegistry, type DownloadedModel } from "../../../../infra/local/models/registry.ts";
import { locateModel, slug } from "../../../../infra/local/models/source.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const model = writeGguf({ entries: [], tensors: [] });

describe("locateModel", () => {
  it("makes a registered model by its id, with where it comes from", async () => {
    const teacher = await locateModel({ SPIKINGBRAIN_MODEL: "smollm2-135m" });
    expect(teacher).toMatchObject({ id: "smollm2-135m", license: "apache-2.0", teacher: null, defaults: { temperature: 0.2, top_p: 0.9 } });
    const converted = await locateModel({ SPIKINGBRAIN_MODEL: "spikingbrain-135m" });
    const { source, file } = readRegistry().get("smollm2-135m") as DownloadedModel;
    expect(converted.defaults).toEqual({ temperature: 0.2, top_p: 0.9 });
    expect(converted).toMatchObject({ id: "spikingbrain-135m", teacher: { ...source, license: "apache-2.0", sha256: file.sha256 } });
    expect(await readGgufFacts(converted.path)).toMatchObject({
      form: { layers: [{ mixer: "evicted", feedForward: "dense", count: 30 }], window: 512, keptTokens: 4, salientTokens: 256 },
      tokenizer: { pre: "smollm" },
    });
  });

  it("takes the file SPIKINGBRAIN_MODEL names, with an id from its name or as given", async () => {
    const path = join(temporaryDirectory(), "My Model (7B).Q4_0.gguf");
    writeFileSync(path, model);
    expect(await locateModel({ SPIKINGBRAIN_MODEL: path })).toMatchObject({
      path,
      id: "my-model-7b-.q4_0",
      ownedBy: "local",
      defaults: {},
    });
    expect(await locateModel({ SPIKINGBRAIN_MODEL: path, SPIKINGBRAIN_MODEL_ID: "org/mine" })).toMatchObject({ id: "org/mine" });
  });

  it("gives the weights of registered models away, and those of a file of one's own only where that is said", async () => {
    const path = join(temporaryDirectory(), "a.gguf");
    writeFileSync(path, model);
    const given = async (environment: Record<string, string>) => (await locateModel(environment)).download;
    expect(await given({ SPIKINGBRAIN_MODEL: "smollm2-135m" })).toBe(true);
    expect(await given({ SPIKINGBRAIN_MODEL: "smollm2-135m", SPIKINGBRAIN_DOWNLOAD: "no" })).toBe(false);
    expect(await given({ SPIKINGBRAIN_MODEL: path })).toBe(false);
    expect(await given({ SPIKINGBRAIN_MODEL: path, SPIKINGBRAIN_DOWNLOAD: "yes" })).toBe(true);
    await expect(given({ SPIKINGBRAIN_MODEL: path, SPIKINGBRAIN_DOWNLOAD: "maybe" })).rejects.toThrow(
      'SPIKINGBRAIN_DOWNLOAD: "maybe" must be yes or no',
    );
  });

  it("puts tensors of types that the engine does not read into ones that it reads", async () => {
    const path = join(temporaryDirectory(), "a.gguf");
    const tensors = [
      { name: "a", dimensions: [32, 2], type: 6, data: Buffer.alloc(44, 1) },
      { name: "b", dimensions: [4], type: 0, data: Buffer.alloc(16, 2) },
    ];
    writeFileSync(path, writeGguf({ entries: [], tensors }));
    vi.stubEnv("SPIKINGBRAIN_CACHE", temporaryDirectory());
    const served = await locateModel({ SPIKINGBRAIN_MODEL: path });
    expect(served.id).toBe("a");
    expect(readGguf(readFileSync(served.path), served.path).tensors).toMatchObject([
      { name: "a", dimensions: [32, 2], type: 8, data: { length: 68 } },
      tensors[1],
    ]);
    expect(await locateModel({ SPIKINGBRAIN_MODEL: path })).toEqual(served);
    vi.unstubAllEnvs();
  });

  it("names the variable and its value when they cannot be used", async () => {
    const directory = temporaryDirectory();
    await expect(locateModel({ SPIKINGBRAIN_MODEL: directory })).rejects.toThrow(
      `SPIKINGBRAIN_MODEL: "${directory}" is not a file; it must be the path of a GGUF or one of qwen2.5-coder-0.5b, smollm2-135m, spikingbrain-135m-spiking, spikingbrain-135m, spikingbrain-coder-0.5b-spiking, spikingbrain-coder-0.5b.`,
    );
    await expect(locateModel({ SPIKINGBRAIN_MODEL: "smollm2-135m" }, { name: "--model", value: directory })).rejects.toThrow(
      `--model: "${directory}" is not a file; it must be the path of a GGUF or one of `,
    );
    const path = join(directory, "a.gguf");
    writeFileSync(path, model);
    await expect(locateModel({ SPIKINGBRAIN_MODEL: path, SPIKINGBRAIN_MODEL_ID: "a b" })).rejects.toThrow('SPIKINGBRAIN_MODEL_ID: "a b"');
  });

  it.each([
    ["SmolLM2-135M", "smollm2-135m"],
    ["  ", "model"],
    ["模型 v2", "v2"],
  ])("makes an id of %j: %j", (name, id) => {
    expect(slug(name)).toBe(id);
  });
});
