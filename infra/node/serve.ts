/** `spikingbrain serve`: the whole service from Node. The Workers run as they do everywhere; their engine is in this process, over its threads. */
import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { describeModel } from "../../workers/engine/described-model.ts";
import { describeCause } from "../../workers/observe/log-line.ts";
import { onEnd } from "../local/lifetime.ts";
import { digestFile } from "../local/models/digest.ts";
import { locateModel } from "../local/models/source.ts";
import { inRepository } from "../local/paths.ts";
import { claimPort } from "../local/port.ts";
import { startStack, type Stack } from "../local/stack.ts";
import { gatewayVariables } from "../local/variables.ts";
import { fileSize } from "./engine-package.ts";
import { kvOption, loadOptions, numberIn, packageOption, spikesOption, type EngineOptions } from "./options.ts";
import { progress } from "./progress.ts";
import { startEngineServer } from "./serve/engine-server.ts";
import { grammarOf } from "./serve/grammar.ts";
import { folderOf, writeConfigurations, writeModelCard } from "./serve/files.ts";
import { loadOverThreads } from "./threads/load.ts";
import { versionOf } from "./weights-file.ts";

interface ServeOptions extends EngineOptions {
  readonly threads: number;
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly requestTokens: number;
  readonly sha256?: string;
}

const mostThreads = 64;
const readyTimeoutMilliseconds = 180_000;
const secretBytes = 32;

export const serveCommand = new Command("serve")
  .description(
    "Serve a model over HTTP: the API, the sessions and the web page of the Workers, with the engine over this machine's threads.",
  )
  .addOption(new Option("-m, --model <file|id>", "GGUF to serve, or the id of a model in infra/models (default: the built-in model)"))
  .option(
    "--threads <count>",
    "threads that compute, this one among them",
    numberIn(1, mostThreads, true),
    Math.min(availableParallelism(), mostThreads),
  )
  .option("-p, --port <number>", "port to listen at", numberIn(1, 65_535, true), 8787)
  .option("--host <address>", "address to listen at; any but 127.0.0.1 needs API_KEYS", "127.0.0.1")
  .option("--data <folder>", "where conversations, states and their secret are kept", inRepository(".wrangler/serve"))
  .option(
    "--request-tokens <count>",
    "most tokens of one request where the model's context has no end",
    numberIn(1, 2 ** 24, true),
    131_072,
  )
  .option("--sha256 <digest>", "what the file must be, 64 hexadecimal digits", sha256)
  .addOption(spikesOption())
  .addOption(kvOption("int8"))
  .addOption(packageOption())
  .action(serve);

function sha256(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError("It must be 64 hexadecimal digits.");
}

async function serve(options: ServeOptions): Promise<void> {
  const { threads, port, host, requestTokens } = options;
  const data = resolve(options.data);
  const { variables, isOpen } = gatewayVariables(process.env);
  if (isOpen && host !== "127.0.0.1") throw new Error(`API_KEYS must be set where --host is not 127.0.0.1; it is "${host}".`);
  const claim = await claimPort(port, (other) => `--port ${String(other)}`);
  const stopping = new AbortController();
  let stack: Stack | undefined;
  onEnd(() => {
    stopping.abort();
    console.log("\nStopping …");
    if (stack === undefined) process.exit(0);
    void stack.stop();
  });
  const source = await locateModel(process.env, options.model === undefined ? undefined : { name: "--model", value: options.model });
  // A directory or nothing is refused in plain words.
  fileSize(source.path);
  const version = await versionOf(source.path);
  const file = { bytes: version.bytes, sha256: await digestFile(source.path, progress("checking")) };
  if (options.sha256 !== undefined && options.sha256 !== file.sha256)
    throw new Error(`"${source.path}" must have sha256 ${options.sha256}; it has ${file.sha256}.`);
  const folder = folderOf(port);
  const { manifest, tokenizer } = await writeModelCard(folder, source, file);
  console.log(`Loading ${source.id} over ${String(threads)} ${threads === 1 ? "thread" : "threads"} …`);
  const { engine, end } = await loadOverThreads(source.path, {
    ...loadOptions(options),
    threads,
    version,
    modelDigest: manifest.sha256,
    tokenizerDigest: manifest.tokenizerSha256,
  });
  const secret = randomBytes(secretBytes).toString("hex");
  let defect: unknown;
  const server = await startEngineServer(describeModel(engine, manifest, requestTokens), {
    secret,
    grammar: await grammarOf(tokenizer),
    onDefect: (error) => {
      defect ??= error;
      console.error(`The engine has failed: ${describeCause(error)}`);
      void stack?.stop();
    },
  });
  try {
    console.log("Starting the Workers …");
    const configurations = await writeConfigurations(folder, data, { address: server.address, secret });
    const onOutput = (text: string) => process.stdout.write(text);
    stack = await startStack({ port, host, claim, configurations, variables, persistTo: data, onOutput });
    await stack.untilReady(readyTimeoutMilliseconds);
    printUsage(stack.url, source.id, isOpen, engine.memoryBytes());
    await stack.ended;
    if (defect !== undefined) throw new Error("The engine has failed; its message is above.", { cause: defect });
    if (!stopping.signal.aborted) throw new Error("The Workers ended by themselves; their last messages are above.");
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  } finally {
    await stack?.stop();
    await server.close();
    await end();
  }
}

function printUsage(url: string, model: string, isOpen: boolean, memoryBytes: number): void {
  const key = isOpen
    ? "sk-local-development   (any key is accepted on this machine; API_KEYS sets which ones are)"
    : "sk-…   (one of those in API_KEYS)";
  console.log(`
  Chat:     ${url}/
  API:      ${url}/v1
  Model:    ${model}, ${(memoryBytes / 2 ** 20).toFixed(0)} MiB
  Key:      ${key}

  Ctrl-C stops everything.
`);
}
