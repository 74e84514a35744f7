import { env } from "cloudflare:workers";
import type { GenerationBackend } from "../../workers/contracts/engine.ts";
import { endOfTurn, plainManifest, tinyManifest, tinyTokenizer, versionOf } from "../workers/support/tiny-tokenizer.ts";
import { ToyBackend } from "../workers/support/toy-backend.ts";
import { backendConformance } from "./backend-conformance.ts";
import { stateConformance, type StateConformanceOptions } from "./state-conformance.ts";

const timeoutMilliseconds = 10_000;
const options = { prompt: [10, 20, 30, 40, 50], timeoutMilliseconds, logprobTolerance: 1e-9 };
const states: StateConformanceOptions = {
  vocabulary: Array.from({ length: 200 }, (_unused, at) => at),
  cuts: [1, 2, 3, 4, 5, 31, 32, 33, 62, 63, 64, 65, 66, 67, 68, 69, 95, 96, 97, 127, 128, 140],
  full: [68, 400],
  timeoutMilliseconds,
};

const facts = { vocabularySize: tinyTokenizer.tokens.length, contextLength: tinyManifest.contextLength, endOfTurn };
const toy = () => new ToyBackend(facts);
const plain = () => new ToyBackend({ ...facts, models: [{ ...versionOf(plainManifest), abilities: [] }] });
const statesAtTheEnd = () => new ToyBackend({ ...facts, models: [{ ...versionOf(tinyManifest), abilities: ["states"] }] });
const overRpc = () => (env as unknown as { ENGINE: GenerationBackend }).ENGINE;

backendConformance("the toy backend, in process", toy, options);
backendConformance("the toy backend, over RPC", overRpc, options);
backendConformance("a backend with no ability", plain, options);
backendConformance("a backend with states at an answer's end only", statesAtTheEnd, options);
stateConformance("the toy backend, in process", toy, states);
stateConformance("the toy backend, over RPC", overRpc, states);
stateConformance("a backend with states at an answer's end only", statesAtTheEnd, states);
