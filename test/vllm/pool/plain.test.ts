/** The pool's backend for servers that take token ids, against vLLM's own. */
import { inject } from "vitest";
import type { EngineLoad, GenerateRequest, GenerationBackend, ModelDescription } from "../../../workers/contracts/engine.ts";
import { OpenAiBackend } from "../../../workers/pool/backends/openai.ts";
import { backendConformance } from "../../contract/backend-conformance.ts";
import { generate, greedy, testedBackend } from "../../contract/generation.ts";
import type {} from "./provided.ts";

const { url, key } = inject("plain");
const model: ModelDescription = {
  ...{ id: "tiny", digest: "d".repeat(64), tokenizerDigest: "e".repeat(64), architecture: "spikingbrain", parameters: 0, kernel: "vllm" },
  // Not of long seeds: on a CPU, vLLM's own sampler draws by 32 of their bits.
  ...{ vocabularySize: 512, contextLength: 2048, abilities: ["prompt_logprobs", "logit_bias"] },
};
const backend = new OpenAiBackend((request) => fetch(request));

const server: GenerationBackend = {
  models: () => Promise.resolve({ ok: true, value: [model] }),
  ready: async () => {
    await generate(await testedBackend(server), { ...greedy([1]), model });
    return { ok: true, value: null };
  },
  load,
  generate: (request: GenerateRequest) =>
    backend.generate({ replica: { name: "plain", address: url }, model, key, request, signal: new AbortController().signal }),
};

async function load(): Promise<EngineLoad> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const sum = (name: string) =>
    [...metrics.matchAll(new RegExp(`^${name}\\{[^}]*\\} ([\\d.e+]+)$`, "gm"))].reduce((total, [, value]) => total + Number(value), 0);
  return {
    ...{ loaded: true, freeStateBytes: 0, running: sum("vllm:num_requests_running"), waiting: sum("vllm:num_requests_waiting") },
    generatedTokens: sum("vllm:generation_tokens_total"),
  };
}

backendConformance("vLLM's own server", () => server, {
  prompt: [10, 20, 30, 40, 50],
  timeoutMilliseconds: 60_000,
  logprobTolerance: 1e-4,
});
