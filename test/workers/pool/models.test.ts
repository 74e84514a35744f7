import { describe, expect, test } from "vitest";
import type { ModelDescription } from "../../../workers/contracts/engine.ts";
import { availabilityOf, modelsOf } from "../../../workers/pool/models.ts";
import type { Replica } from "../../../workers/pool/replica.ts";

const large: ModelDescription = {
  ...{ id: "large", digest: "a".repeat(64), tokenizerDigest: "t".repeat(64), architecture: "a", parameters: 7, vocabularySize: 9 },
  ...{ contextLength: 100, abilities: ["states"], kernel: "cuda" },
};
const canary: ModelDescription = { ...large, digest: "b".repeat(64) };
const small: ModelDescription = { ...large, id: "small", kernel: "simd128", contextLength: 50, abilities: ["logit_bias"], spikes: "paper" };
const load = { running: 0, waiting: 0, mostRequests: null, freeShare: null, loaded: true };
const replica = (name: string, models: readonly ModelDescription[], changes: Partial<Replica> = {}): Replica => ({
  ...{ name, node: "n", kind: "vllm", address: "https://a", models, place: null, weight: 1, draining: false, load, heardAt: 0 },
  ...changes,
});
const pool = (...replicas: readonly Replica[]) => ({ takenAt: 0, replicas });
const digests = (...replicas: readonly Replica[]) => modelsOf(pool(...replicas)).map(({ id, digest }) => `${id} ${digest.slice(0, 1)}`);

describe("models", () => {
  test("of two versions under one id, that of more weight comes first, whoever registered first", () => {
    const [old, fresh] = [replica("one", [large]), replica("two", [canary], { weight: 0.05 })];
    expect(digests(old, fresh)).toEqual(["large a", "large b"]);
    expect(digests(fresh, old)).toEqual(["large a", "large b"]);
    expect(digests(replica("one", [large]), replica("two", [canary]), replica("three", [canary]))).toEqual(["large b", "large a"]);
  });

  test("a version that is only drained comes last", () => {
    expect(digests(replica("one", [large], { draining: true, weight: 9 }), replica("two", [canary], { weight: 0.05 }))).toEqual([
      "large b",
      "large a",
    ]);
  });

  test("backends of one version are one entry, which can what any of them can", () => {
    const engine = replica("engine", [
      { ...small, state: { bytes: 5, constant: true, keysAndValues: "int8", fullAttentionBytesPerToken: 1 } },
    ]);
    const { spikes: _spikes, ...plain } = small;
    expect(
      modelsOf(pool(replica("gpu", [{ ...plain, contextLength: 200, abilities: ["states"], kernel: "cuda" }], { weight: 2 }), engine)),
    ).toEqual([
      {
        ...{ ...small, contextLength: 200, abilities: ["states", "logit_bias"], kernel: "cuda" },
        state: { bytes: 5, constant: true, keysAndValues: "int8", fullAttentionBytesPerToken: 1 },
      },
    ]);
  });
});

describe("availability", () => {
  test.each<[name: string, replicas: readonly Replica[], status: string, reason: RegExp, kinds: readonly string[]]>([
    ["ready", [replica("one", [large])], "ready", /^$/, ["vllm"]],
    [
      "cold",
      [replica("engine", [large], { kind: "engine", load: { ...load, loaded: false } })],
      "cold",
      /loaded with the first/,
      ["engine"],
    ],
    [
      "cold here and ready there",
      [replica("engine", [large], { kind: "engine", load: { ...load, loaded: false } }), replica("one", [large])],
      "ready",
      /^$/,
      ["engine", "vllm"],
    ],
    ["draining", [replica("one", [large], { draining: true })], "unavailable", /is draining or has the weight 0/, []],
    ["without weight", [replica("one", [large], { weight: 0 })], "unavailable", /is draining or has the weight 0/, []],
    ["nowhere", [replica("one", [small])], "unavailable", /no backend has it/, []],
  ])("%s", (_name, replicas, status, reason, kinds) => {
    const found = availabilityOf(pool(...replicas), ["large"]).find(({ id }) => id === "large");
    expect(found).toEqual({ id: "large", status, reason: expect.stringMatching(reason) as string, kinds });
  });

  test("each model once: those that are there, then those that are asked for", () => {
    expect(availabilityOf(pool(replica("one", [small, large]), replica("two", [canary])), ["huge", "large"]).map(({ id }) => id)).toEqual([
      "small",
      "large",
      "huge",
    ]);
  });
});
