import { exports } from "cloudflare:workers";
import type { GenerationBackend } from "../../../workers/contracts/engine.ts";
import { backendConformance } from "../../contract/backend-conformance.ts";
import { stateConformance } from "../../contract/state-conformance.ts";
import { bindings } from "./bindings.ts";

// "<|im_start|>user\nWhat is the capital of France?" in the built-in model's tokens; int8 keys and values are the same however a text was read.
const options = {
  prompt: [1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47],
  timeoutMilliseconds: 120_000,
  logprobTolerance: 1e-4,
};

const service = () => (exports as unknown as { EngineService: GenerationBackend }).EngineService;

backendConformance("an engine object, over RPC", () => bindings.ENGINE_OBJECT.getByName("conformance"), options);
backendConformance("the engine service, over RPC", service, options);
stateConformance("the engine service, over RPC", service, {
  vocabulary: Array.from({ length: 1000 }, (_unused, at) => 1000 + 41 * at),
  cuts: [1, 31, 32, 45],
  // The window of 512 tokens is `memory.workerd.test.ts`'s matter.
  full: null,
  timeoutMilliseconds: 120_000,
});
