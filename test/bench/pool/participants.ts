/** What is measured: the upstream alone, this edge, two other routers, and the least that a router on this edge's runtime does. */
import { once } from "node:events";
import { appendFileSync, existsSync } from "node:fs";
import { dirname } from "node:path";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import { inRepository, repositoryRoot } from "../../../infra/local/paths.ts";
import { writePoolFiles } from "../../../infra/local/pool/configuration.ts";
import { startGroup, type ProcessGroup } from "../../../infra/local/process-group.ts";
import { routersPython, setupRouters } from "../../../infra/local/python/setup-python.ts";
import { run } from "../../../infra/local/run.ts";
import { configurationsWith, startStack } from "../../../infra/local/stack.ts";
import { until } from "../../../workers/waiting/within.ts";
import { freePort } from "../../../infra/local/free-port.ts";
import { answerTokens, chatTexts, firstId } from "./upstream.ts";
import type { Target } from "./stream-load.ts";

export interface Participant {
  readonly name: ParticipantName;
  readonly target: Target;
  /** The program and all it has started. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

export const alone = "upstream alone";
export const edge = "this edge";
export const portkey = "Portkey's gateway";
export const router = "vllm-router";
export const floor = "floor of the runtime";
export const chain = "floor of the same Workers";
export const hops = "hops of the same Workers";
export type ParticipantName = typeof alone | typeof edge | typeof portkey | typeof router | typeof floor | typeof chain | typeof hops;

const portkeyFolder = inRepository("test/bench/pool/portkey");
const readyTimeoutMilliseconds = 180_000;
/** More than any model's here: the mock's ids are all small. */
const mockVocabulary = 2 ** 20;
const chat = "/v1/chat/completions";

/** Each of another text, from its beginning on: those that begin alike go to the same replica. */
function chatBody(model: string, index: number): object {
  const messages = [
    { role: "system", content: `${index} keepers of lighthouses look at the sea.` },
    { role: "user", content: "Tell me a short story about them." },
  ];
  return { model, messages, max_tokens: answerTokens, temperature: 0, stream: true, stream_options: { include_usage: true } };
}

const mockTarget = (url: string, headers: Target["headers"] = {}): Target => ({
  url,
  path: chat,
  headers,
  body: (index) => chatBody("mock", index),
  texts: chatTexts,
});

export async function startUpstream(): Promise<{ readonly url: string; readonly group: ProcessGroup }> {
  const port = await freePort();
  const group = program(process.execPath, ["--no-warnings", inRepository("test/bench/pool/upstream.ts"), String(port)]);
  if (group.child.stdout !== null) await once(group.child.stdout, "data");
  return { url: `http://127.0.0.1:${port}`, group };
}

/** All of them, in front of the same upstreams. */
export async function startParticipants(upstreams: readonly string[], model: ModelManifest): Promise<readonly Participant[]> {
  await setupOthers();
  const [first = ""] = upstreams;
  const started: Participant[] = [{ name: alone, target: mockTarget(first), pid: undefined, stop: () => Promise.resolve() }];
  try {
    for (const start of [startEdge, startPortkey, startRouter, startFloor, startChain, startHops])
      started.push(await start(upstreams, model));
    return started;
  } catch (error) {
    await Promise.all(started.map((one) => one.stop()));
    throw error;
  }
}

/** Each in an environment of its own, of exact versions. */
async function setupOthers(): Promise<void> {
  await setupRouters();
  if (existsSync(`${portkeyFolder}/node_modules/@portkey-ai/gateway/package.json`)) return;
  const { status } = await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", portkeyFolder]);
  if (status !== 0) throw new Error(`\`npm ci --prefix ${portkeyFolder}\` failed (status ${String(status)}).`);
}

async function startEdge(upstreams: readonly string[], model: ModelManifest): Promise<Participant> {
  const described = {
    ...{ id: model.id, digest: model.sha256, tokenizer_digest: model.tokenizerSha256, architecture: "mock", parameters: 0 },
    ...{ vocabulary_size: mockVocabulary, context_length: 4_096, abilities: [], kernel: "mock", state: null, spikes: null },
  };
  const replicas = upstreams.map((address, index) => ({ name: `mock-${index}`, kind: "openai", address, models: [described] }));
  const port = await freePort();
  const files = writePoolFiles(port);
  const variables = { POOL_STATIC: `'${JSON.stringify(replicas)}'`, POOL_GAP_SECONDS: "0.8", POOL_FIRST_TOKEN_SECONDS: "5" };
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
  // Beside the pool's configuration: variables of the command line are the first Worker's alone.
  appendFileSync(inRepository(dirname(files.configuration), ".dev.vars"), lines.join(""));
  const participant = await stackParticipant(edge, port, {
    configurations: configurationsWith({ pool: files.configuration, engine: "test/bench/worker/counting-engine.toml" }),
    variables: {},
    // The mock goes on to the end by itself, and knows nothing of stop tokens.
    body: (index) => ({ ...chatBody(model.id, index), ignore_eos: true }),
  });
  const stop = async (): Promise<void> => {
    await participant.stop();
    files.remove();
  };
  try {
    const { target } = participant;
    return { ...participant, target: { ...target, texts: await textsOfIds(target.url, model.id) }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The edge makes the text itself, of the mock's ids. */
async function textsOfIds(url: string, model: string): Promise<readonly string[]> {
  const texts = [""];
  for (let tokens = 1; tokens <= answerTokens; tokens++) {
    const ids = Array.from({ length: tokens }, (_unused, index) => firstId + index);
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/detokenize`, { method: "POST", headers, body: JSON.stringify({ model, tokens: ids }) });
    if (!response.ok) throw new Error(`${edge}: /detokenize answered with ${response.status}: ${await response.text()}`);
    texts.push(((await response.json()) as { prompt: string }).prompt);
  }
  return texts;
}

async function startFloor(upstreams: readonly string[]): Promise<Participant> {
  return await stackParticipant(floor, await freePort(), {
    configurations: ["test/bench/worker/floor.toml"],
    variables: { UPSTREAMS: upstreams.join(",") },
    body: (index) => chatBody("mock", index),
  });
}

const startChain = (upstreams: readonly string[]): Promise<Participant> => startChainOf(chain, upstreams, true);
const startHops = (upstreams: readonly string[]): Promise<Participant> => startChainOf(hops, upstreams, false);

async function startChainOf(name: ParticipantName, upstreams: readonly string[], reads: boolean): Promise<Participant> {
  return await stackParticipant(name, await freePort(), {
    configurations: ["gateway", "session", "pool"].map((worker) => `test/bench/worker/chain/${worker}.toml`),
    variables: { UPSTREAMS: upstreams.join(","), READS: String(reads) },
    // Two runtimes cannot have the same objects' files.
    persistTo: inRepository(".wrangler", reads ? "bench-chain" : "bench-hops"),
    body: (index) => chatBody("mock", index),
  });
}

interface StackPart {
  readonly configurations: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly body: Target["body"];
  /** Folder that objects are kept in; wrangler's own unless given. */
  readonly persistTo?: string;
}

async function stackParticipant(name: ParticipantName, port: number, { body, ...options }: StackPart): Promise<Participant> {
  const stack = await startStack({ port, ...options });
  try {
    await stack.untilReady(readyTimeoutMilliseconds);
  } catch (error) {
    await stack.stop();
    throw error;
  }
  return { name, target: { url: stack.url, path: chat, headers: {}, body, texts: chatTexts }, pid: stack.pid, stop: () => stack.stop() };
}

/** Its own strategy for several upstreams: one at random, and another where a status says that it failed. */
async function startPortkey(upstreams: readonly string[]): Promise<Participant> {
  const port = await freePort();
  const targets = upstreams.map((url) => ({ provider: "openai", custom_host: `${url}/v1`, api_key: "none" }));
  const [first, second] = targets;
  const config = {
    strategy: { mode: "loadbalance" },
    targets: [
      { strategy: { mode: "fallback" }, weight: 0.5, targets: [first, second] },
      { strategy: { mode: "fallback" }, weight: 0.5, targets: [second, first] },
    ],
    request_timeout: 5_000,
  };
  const group = program(process.execPath, [
    `${portkeyFolder}/node_modules/@portkey-ai/gateway/build/start-server.js`,
    `--port=${port}`,
    "--headless",
  ]);
  return await programParticipant(portkey, group, mockTarget(`http://127.0.0.1:${port}`, { "x-portkey-config": JSON.stringify(config) }));
}

async function startRouter(upstreams: readonly string[]): Promise<Participant> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const group = program(routersPython, [
    ...["-m", "vllm_router.launch_router", "--host", "127.0.0.1", "--port", String(port), "--worker-urls", ...upstreams],
    ...["--policy", "round_robin", "--request-timeout-secs", "5", "--log-level", "error"],
    ...["--prometheus-host", "127.0.0.1", "--prometheus-port", String(metricsPort)],
  ]);
  return await programParticipant(router, group, mockTarget(`http://127.0.0.1:${port}`));
}

function program(command: string, args: readonly string[]): ProcessGroup {
  const group = startGroup(command, args, { cwd: repositoryRoot, env: { ...process.env, NODE_ENV: "production" } });
  // What nobody reads would halt it.
  group.child.stderr?.resume();
  group.child.stdout?.resume();
  return group;
}

async function programParticipant(name: ParticipantName, group: ProcessGroup, target: Target): Promise<Participant> {
  const look = async (): Promise<true | undefined> => {
    try {
      const response = await fetch(`${target.url}/health`, { signal: AbortSignal.timeout(5_000) });
      await response.body?.cancel();
      return true;
    } catch {
      if (group.child.exitCode !== null) throw new Error(`${name} ended with status ${group.child.exitCode} while it was starting.`);
      return undefined;
    }
  };
  try {
    await until(look, { milliseconds: readyTimeoutMilliseconds, everyMilliseconds: 250 }, () => {
      throw new Error(`${name} did not answer at ${target.url} in time.`);
    });
  } catch (error) {
    await group.stop();
    throw error;
  }
  return { name, target, pid: group.child.pid, stop: () => group.stop() };
}
