/** The pool's backend against a replica on vLLM: the suites that every backend passes, and states that go to the WASM engine and back. */
import { expect, inject, test } from "vitest";
import { abilities } from "../../../workers/contracts/abilities.ts";
import type { EngineLoad, GenerateRequest, GenerationBackend, ModelDescription } from "../../../workers/contracts/engine.ts";
import { fromBase64 } from "../../../workers/encoding/base64.ts";
import { VllmBackend } from "../../../workers/pool/backends/vllm.ts";
import { backendConformance } from "../../contract/backend-conformance.ts";
import { generate, greedy, testedBackend, type TestedBackend } from "../../contract/generation.ts";
import { stateConformance } from "../../contract/state-conformance.ts";
import { onlyFile, sourceOf } from "../../contract/state-files.ts";
import { SchedulerBackend, tinyModel } from "../../workers/engine/tiny-model.ts";
import type {} from "./provided.ts";

const { url, key, model: file, digest, tokenizerDigest } = inject("replica");
const timeoutMilliseconds = 60_000;
/** The tiny model has no tokenizer. */
const ofReplicas = abilities.filter((ability) => ability !== "constraints");
const model: ModelDescription = {
  ...{ id: "tiny", digest, tokenizerDigest, architecture: "spikingbrain", parameters: 0, kernel: "vllm", abilities: ofReplicas },
  ...{ vocabularySize: 512, contextLength: 2048 },
};

interface ReplicaFacts {
  readonly load: { readonly requests: number; readonly waiting: number; readonly generated_tokens: number };
}

async function load(): Promise<EngineLoad> {
  const answer = await fetch(`${url}/replica`, { headers: { authorization: `Bearer ${key}` } });
  const { load: told } = await answer.json<ReplicaFacts>();
  return { loaded: true, running: told.requests, waiting: told.waiting, generatedTokens: told.generated_tokens, freeStateBytes: 0 };
}

const backend = new VllmBackend((request) => fetch(request));
const replica: GenerationBackend = {
  models: () => Promise.resolve({ ok: true, value: [model] }),
  ready: async () => {
    const request = { ...greedy([1]), model };
    await generate(await testedBackend(replica), request);
    return { ok: true, value: null };
  },
  load,
  generate: (request: GenerateRequest) =>
    backend.generate({ replica: { name: "tiny", address: url }, model, key, request, signal: new AbortController().signal }),
};

backendConformance("a replica on vLLM", () => replica, { prompt: [10, 20, 30, 40, 50], timeoutMilliseconds, logprobTolerance: 1e-4 });
stateConformance("a replica on vLLM", () => replica, {
  vocabulary: Array.from({ length: 512 }, (_unused, at) => at),
  cuts: [1, 2, 5, 31, 32, 33, 63, 64, 65, 66, 67, 95, 96, 97, 128, 140],
  full: [80, 400],
  timeoutMilliseconds,
});

const text = (length: number, seed: number) => Array.from({ length }, (_unused, at) => (at * 37 + ((at * at) % 101) + seed) % 512);

/** One turn from a state to the next one. */
async function turn(on: TestedBackend, read: readonly number[], state: Uint8Array | null, prompt: readonly number[]) {
  const resume = state === null ? {} : { resume: { tokens: read.length, state: sourceOf(state, read), seen: new Uint32Array() } };
  const request = { ...greedy(prompt), maxTokens: 12, save: { at: [], end: true, fromPage: 0 }, ...resume };
  const { all, tokens, end } = await generate(on, request);
  expect(end).toMatchObject({ type: "finish", usage: { promptTokens: read.length + prompt.length, cachedTokens: read.length } });
  return { tokens, read: [...read, ...prompt, ...tokens], state: onlyFile(all) };
}

test.each([
  ["WASM, vLLM, WASM", ["wasm", "vllm", "wasm"]],
  ["vLLM, WASM, vLLM", ["vllm", "wasm", "vllm"]],
] as const)("a conversation goes %s, token for token as if it had stayed", async (_name, places) => {
  const engine = await testedBackend(new SchedulerBackend(await tinyModel(2048, { bytes: fromBase64(file), kvType: "f32" })));
  const on = { wasm: engine, vllm: await testedBackend(replica) };
  let [read, state]: [readonly number[], Uint8Array | null] = [[], null];
  for (const [at, place] of places.entries()) {
    const prompt = text(70 + at, at);
    const stayed = await generate(engine, { ...greedy([...read, ...prompt]), maxTokens: 12 });
    const next = await turn(on[place], read, state, prompt);
    expect(next.tokens).toEqual(stayed.tokens);
    ({ read, state } = next);
  }
});
