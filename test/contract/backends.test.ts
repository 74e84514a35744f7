import { env } from "cloudflare:workers";
import { abilities, type Ability } from "../../workers/contracts/abilities.ts";
import type { GenerationBackend, ModelDescription } from "../../workers/contracts/engine.ts";
import { endOfTurn, plainManifest, tinyManifest, tinyTokenizer, versionOf } from "../workers/support/tiny-tokenizer.ts";
import { ToyBackend } from "../workers/support/toy-backend.ts";
import "../workers/support/toy-grammar.ts";
import type { Network, ReplicaBackend } from "../../workers/pool/backends/contract.ts";
import { FakeBackend } from "../../workers/pool/backends/fake.ts";
import { OpenAiBackend } from "../../workers/pool/backends/openai.ts";
import { VllmBackend } from "../../workers/pool/backends/vllm.ts";
import { WasmBackend } from "../../workers/pool/backends/wasm.ts";
import { toyStates } from "../workers/support/toy-reports.ts";
import { asBackend } from "./replica/as-backend.ts";
import { toyScript } from "./replica/toy-script.ts";
import { ScriptedReplica } from "./replica/scripted-replica.ts";
import { backendConformance } from "./backend-conformance.ts";
import { stateConformance, type StateConformanceOptions } from "./state-conformance.ts";

/** The first call over RPC has the whole Worker read, which takes its time on a busy machine. */
const timeoutMilliseconds = 60_000;
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

/** What a server over HTTP says of itself. */
const description = (abilities: readonly Ability[]): ModelDescription => ({
  ...versionOf(tinyManifest),
  ...{ architecture: "toy", parameters: 0, kernel: "toy", abilities },
  ...{ vocabularySize: facts.vocabularySize, contextLength: facts.contextLength },
});
const overHttp = (backendOn: (network: Network) => ReplicaBackend, abilities: readonly Ability[]) => () => {
  const model = description(abilities);
  const replica = new ScriptedReplica(model);
  return asBackend(backendOn(replica.network), model, () => countsOf(replica));
};
const vllm = (network: Network) => new VllmBackend(network);
const openai = (network: Network) => new OpenAiBackend(network);
const countsOf = ({ running, generatedTokens, states: { count } }: ScriptedReplica) => ({
  running,
  generatedTokens,
  freeStateBytes: -count,
});
const ofServers: readonly Ability[] = ["prompt_logprobs", "logit_bias", "long_seeds"];
const engineBackend = () => {
  const engine = toy();
  const model = { ...description(abilities), spikes: "paper", state: toyStates } as const;
  return asBackend(new WasmBackend(engine, () => undefined), model, () => ({
    running: engine.running,
    generatedTokens: engine.generatedTokens,
    freeStateBytes: 0,
  }));
};

backendConformance("the toy backend, in process", toy, options);
backendConformance("the toy backend, over RPC", overRpc, options);
backendConformance("a backend with no ability", plain, options);
backendConformance("a backend with states at an answer's end only", statesAtTheEnd, options);
const fake = () => {
  const model = description(abilities.filter((ability) => !ability.startsWith("states")));
  const counts = { running: 0, generatedTokens: 0, freeStateBytes: 0 };
  return asBackend(new FakeBackend(toyScript(counts, model.vocabularySize)), model, () => ({ ...counts }));
};

backendConformance("replicas of ours, over HTTP", overHttp(vllm, abilities), options);
backendConformance("replicas of ours without states and counts, over HTTP", overHttp(vllm, ofServers), options);
backendConformance("servers that take token ids, over HTTP", overHttp(openai, ofServers), options);
backendConformance("a server that only takes token ids, over HTTP", overHttp(openai, []), options);
backendConformance("the engine in the pool", engineBackend, options);
backendConformance("the backend of tests", fake, options);
stateConformance("the toy backend, in process", toy, states);
stateConformance("the toy backend, over RPC", overRpc, states);
stateConformance("a backend with states at an answer's end only", statesAtTheEnd, states);
stateConformance("replicas of ours, over HTTP", overHttp(vllm, abilities), states);
stateConformance("replicas of ours with states at an answer's end only", overHttp(vllm, ["states"]), states);
