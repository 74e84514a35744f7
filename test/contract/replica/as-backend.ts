/** A backend of the pool as the suites ask it: one replica, one model. */
import type { GenerateRequest, GenerationBackend, ModelDescription } from "../../../workers/contracts/engine.ts";
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { ReplicaBackend } from "../../../workers/pool/backends/contract.ts";
import { collect, valueOf } from "../generation.ts";
import { accessToken, replicaAddress, replicaKey } from "./scripted-replica.ts";

/** What a replica counts of its work. */
export interface Counts {
  readonly running: number;
  readonly generatedTokens: number;
  readonly freeStateBytes: number;
}

export function callOf(model: ModelDescription, request: GenerateRequest) {
  const replica = { name: "scripted", address: replicaAddress };
  return { replica, model, key: replicaKey, access: accessToken, request, signal: new AbortController().signal };
}

export function asBackend(backend: ReplicaBackend, model: ModelDescription, counts: () => Counts): GenerationBackend {
  return {
    models: () => Promise.resolve({ ok: true, value: [model] }),
    async ready() {
      const request = { ...greedyParameters, model, requestId: "ready", prompt: Uint32Array.of(1), maxTokens: 1 };
      await collect(valueOf(await backend.generate(callOf(model, request))));
      return { ok: true, value: null };
    },
    load: () => Promise.resolve({ loaded: true, waiting: 0, ...counts() }),
    generate: (request) => backend.generate(callOf(model, request)),
  };
}
