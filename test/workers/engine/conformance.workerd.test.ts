import { exports } from "cloudflare:workers";
import type { GenerationBackend } from "../../../workers/contracts/engine.ts";
import { backendConformance } from "../../contract/backend-conformance.ts";
import { bindings } from "./bindings.ts";

// "<|im_start|>user\nWhat is the capital of France?" in the built-in model's tokens; int8 keys and values are the same however a text was read.
const options = {
  prompt: [1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47],
  timeoutMilliseconds: 120_000,
  logprobTolerance: 1e-4,
};

backendConformance("an engine object, over RPC", () => bindings.ENGINE_OBJECT.getByName("conformance"), options);

backendConformance(
  "the engine service, over RPC",
  () => (exports as unknown as { EngineService: GenerationBackend }).EngineService,
  options,
);
