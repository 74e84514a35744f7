import { env } from "cloudflare:workers";
import type { GenerationBackend } from "../../workers/contracts/engine.ts";
import { END_OF_TURN, tinyManifest, tinyTokenizer } from "../workers/support/tiny-tokenizer.ts";
import { ToyBackend } from "../workers/support/toy-backend.ts";
import { backendConformance } from "./backend-conformance.ts";

const options = { prompt: [10, 20, 30, 40, 50], timeoutMilliseconds: 10_000, logprobTolerance: 1e-9 };

backendConformance(
  "the toy backend, in process",
  () => new ToyBackend({ vocabularySize: tinyTokenizer.tokens.length, contextLength: tinyManifest.contextLength, endOfTurn: END_OF_TURN }),
  options,
);

backendConformance("the toy backend, over RPC", () => (env as unknown as { ENGINE: GenerationBackend }).ENGINE, options);
