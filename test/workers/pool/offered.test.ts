/** What is said of models that are asked over HTTP, in whatever words a replica or a list has it. */
import { expect, test } from "vitest";
import type { ModelDescription } from "../../../workers/contracts/engine.ts";
import type { Replica } from "../../../workers/pool/replica.ts";
import { SnapshotCopy } from "../../../workers/pool/snapshot.ts";
import { ToyBackend } from "../support/toy-backend.ts";
import { tinyManifest, versionOf } from "../support/tiny-tokenizer.ts";
import { toyStates } from "../support/toy-reports.ts";

const model: ModelDescription = {
  ...versionOf(tinyManifest),
  ...{ architecture: "a", parameters: 7, vocabularySize: 9, contextLength: 100, abilities: ["states"], kernel: "cuda" },
};
const telling: ModelDescription = { ...model, spikes: "paper", state: toyStates };

test("neither spikes nor what a state takes is told over HTTP, so that no request which needs them is planned there", async () => {
  const replica = (name: string): Replica => ({
    ...{ name, node: "n", kind: "vllm", address: "https://a", models: [telling], place: null, weight: 1, draining: false, heardAt: 0 },
    load: { running: 0, waiting: 0, mostRequests: null, freeShare: null, loaded: true },
  });
  const sources = {
    registry: () => Promise.resolve({ takenAt: 1, replicas: [replica("registered")] }),
    listed: () => [replica("listed")],
    engine: new ToyBackend({ vocabularySize: 9, contextLength: 100, endOfTurn: 0 }),
  };
  const options = { refresh: 1000, waitUntil: () => undefined, suffices: () => false };
  const { replicas } = await new SnapshotCopy().current(sources, options);
  const told = new Map(replicas.map(({ name, models }) => [name, models[0]]));
  expect(told.get("registered")).toEqual(model);
  expect(told.get("listed")).toEqual(model);
  // The engine's own is whole.
  expect(told.get("engine")).toMatchObject({ spikes: "paper", state: toyStates });
});
