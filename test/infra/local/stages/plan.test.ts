import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { inRepository } from "../../../../infra/local/paths.ts";
import { engineWithStages, stageConfiguration } from "../../../../infra/local/stages/configurations.ts";
import { fixedBytes, planStages, takenBytes, type PartSize } from "../../../../infra/local/stages/plan.ts";
import { sizesOf } from "../../../../infra/local/stages/sizes.ts";
import type { Cut, Span } from "../../../../workers/contracts/stages.ts";

const mebibyte = 1 << 20;
const length = ([from, to]: Span): number => to - from;

/** A mixer of 16 MiB with 2 MiB of state, a feed-forward of 40 MiB, a row of the vocabulary of 1 KiB. */
const sizeOf = ({ embedding, sublayers, head }: Cut): PartSize => {
  const halves = Array.from({ length: length(sublayers) }, (_, at) => (sublayers[0] + at) % 2);
  const mixers = halves.filter((half) => half === 0).length;
  const rows = Math.max(length(embedding), length(head));
  return {
    weights: (16 * mixers + 40 * (halves.length - mixers)) * mebibyte + rows * 1024,
    buffers: mebibyte,
    state: 2 * mixers * mebibyte,
  };
};
const limits = { memoryBytes: 121 * mebibyte, states: 1 };

function checked(layers: number, vocabulary: number): Cut[] {
  const cuts = planStages({ layers, vocabulary, tied: true }, sizeOf, limits) ?? [];
  for (const cut of cuts) expect(takenBytes(sizeOf(cut), limits)).toBeLessThanOrEqual(limits.memoryBytes);
  const covered = (part: "sublayers" | "embedding" | "head"): number[] => cuts.flatMap((cut) => (length(cut[part]) > 0 ? cut[part] : []));
  const joined = (spans: readonly number[], end: number): void => {
    expect([spans[0], spans.at(-1)]).toEqual([0, end]);
    for (let at = 1; at + 1 < spans.length; at += 2) expect(spans[at]).toBe(spans[at + 1]);
  };
  joined(covered("sublayers"), 2 * layers);
  joined(covered("embedding"), vocabulary);
  joined(covered("head"), vocabulary);
  return cuts;
}

describe("a plan of stages", () => {
  it("is none where one isolate holds the model", () => {
    expect(planStages({ layers: 1, vocabulary: 1000, tied: true }, sizeOf, limits)).toBeUndefined();
  });

  it("leaves the vocabulary to the engine that leads, and cuts the layers evenly into as few stages as hold them", () => {
    const cuts = checked(8, 50_000);
    expect(cuts[0]).toEqual({ embedding: [0, 50_000], sublayers: [0, 0], head: [0, 50_000] });
    // Two feed-forwards fit in a stage, and 8 of them are in 4.
    expect(cuts.slice(1).map(({ sublayers }) => sublayers)).toEqual([
      [0, 4],
      [4, 8],
      [8, 12],
      [12, 16],
    ]);
  });

  it("splits a vocabulary that no isolate holds, at whole panels of rows", () => {
    const cuts = checked(3, 150_001);
    expect(cuts[0]).toEqual({ embedding: [0, 0], sublayers: [0, 0], head: [0, 0] });
    const parts = cuts.filter(({ head }) => length(head) > 0);
    expect(parts).toHaveLength(2);
    expect(parts.every(({ head: [from] }) => from % 4 === 0)).toBe(true);
  });

  it("says which half of a layer does not fit", () => {
    const small = { memoryBytes: 30 * mebibyte, states: 1 };
    expect(() => planStages({ layers: 2, vocabulary: 8, tied: true }, sizeOf, small)).toThrow(
      `the feed-forward of layer 0 takes ${String(fixedBytes + 41 * mebibyte)} bytes with its states; an isolate has ${String(small.memoryBytes)}`,
    );
  });

  it("counts of a file what its parts take, which is together what the whole takes", async () => {
    const { model, sizeOf: size } = await sizesOf(inRepository("test/golden/seven.gguf"), 100);
    const end = 2 * model.layers;
    const none: Span = [0, 0];
    const all: Span = [0, model.vocabulary];
    const whole = size({ embedding: all, sublayers: [0, end], head: all });
    const parts = [
      size({ embedding: all, sublayers: none, head: all }),
      ...Array.from({ length: end }, (_, at) => size({ embedding: none, sublayers: [at, at + 1], head: none })),
    ];
    expect(parts.reduce((sum, { weights }) => sum + weights, 0)).toBe(whole.weights);
    expect(parts.filter(({ state }) => state > 0)).toHaveLength(model.layers);
    expect(parts.every(({ buffers }) => buffers > 0)).toBe(true);
  });
});

describe("the Workers of a plan", () => {
  const read = (path: string): string => readFileSync(inRepository(path), "utf8");

  it("are one source with another name and number", () => {
    const text = stageConfiguration(read("workers/stage/wrangler.toml"), 12);
    expect(text).toContain('name = "spikingbrain-stage-12"');
    expect(text).toContain('STAGE = "12"');
    expect(text).toContain('main = "../../../workers/stage/index.ts"');
  });

  it("are bound to the engine Worker, each by its number", () => {
    const text = engineWithStages(read("workers/engine/wrangler.toml"), 2);
    expect(text.match(/name = "STAGE_\d"\nclass_name = "StageObject"\nscript_name = "spikingbrain-stage-\d"/g)).toHaveLength(2);
  });

  it("are refused where the source is not as it was", () => {
    expect(() => stageConfiguration("", 1)).toThrow(
      'workers/stage/wrangler.toml must hold the line name = "spikingbrain-stage-1"; it does not.',
    );
  });
});
