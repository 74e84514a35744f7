/** The whole stack on this machine: all Workers under `wrangler dev`, the way Cloudflare would run them. */
import { randomUUID } from "node:crypto";
import type { Lock } from "./lock.mjs";
import { claimPort } from "./port.ts";
import { startGroup } from "./process-group.ts";
import { inRepository, repositoryRoot } from "./paths.ts";
import { ensureStateKeys } from "./state-keys.ts";
import { workerFirst } from "./worker-first.ts";
import { until } from "../../workers/waiting/within.ts";

export const sessionConfiguration = "workers/session/wrangler.toml";

export const poolConfiguration = "workers/pool/wrangler.toml";

export const engineConfiguration = "workers/engine/wrangler.toml";

const grammarConfiguration = "workers/grammar/wrangler.toml";

/** In the order that wrangler is given them: the first answers HTTP. */
const byWorker = {
  gateway: "wrangler.toml",
  session: sessionConfiguration,
  pool: poolConfiguration,
  engine: engineConfiguration,
  grammar: grammarConfiguration,
} as const;

export const defaultConfigurations: readonly string[] = Object.values(byWorker);

/**
 * The whole stack's configurations with others in the place of some Workers': a Worker that is added to the stack is in every such list too.
 * `stages`: of Workers that hold parts of the engine's model, beside it.
 */
export function configurationsWith({ stages = [], ...others }: StackConfigurations): readonly string[] {
  return [...Object.values({ ...byWorker, ...others }), ...stages];
}

export interface StackConfigurations extends Partial<Record<keyof typeof byWorker, string>> {
  readonly stages?: readonly string[];
}

export interface StackOptions {
  readonly port: number;
  /** Address to listen at; 127.0.0.1 unless given. */
  readonly host?: string;
  /** The port's, where it is taken already. */
  readonly claim?: Lock;
  /** Wrangler configurations, the one that answers HTTP first; {@link defaultConfigurations} unless given. */
  readonly configurations?: readonly string[];
  /** Variables of the Workers, over those in the wrangler.toml files. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Environment of the process, such as V8 flags. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Folder that objects, R2 and KV are kept in; wrangler's own unless given. */
  readonly persistTo?: string;
  /** Receives what the Workers and wrangler print. */
  readonly onOutput?: (text: string) => void;
}

export interface Stack {
  readonly url: string;
  /** Of the process that has started all others. */
  readonly pid: number | undefined;
  /** Resolves once `/ready` answers 200; rejects when the stack ends or the time is over. */
  untilReady(timeoutMilliseconds: number): Promise<void>;
  /** Resolves when the stack has ended, whoever ended it. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

/** No prompts, no telemetry, no look-ups: nothing leaves the machine. */
export const quietWrangler = {
  CI: "1",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  // A copy of every line that a Worker logs, in a file of its own outside the checkout, opened anew for each.
  WRANGLER_WRITE_LOGS: "false",
  WRANGLER_HIDE_BANNER: "true",
  // No web page and no records of requests for whoever can reach the port.
  X_LOCAL_EXPLORER: "false",
  X_LOCAL_OBSERVABILITY: "false",
} as const;

/** Lines of output repeated when the stack ends unexpectedly. */
const keptOutputLines = 40;

export async function startStack(options: StackOptions): Promise<Stack> {
  const claim = options.claim ?? (await claimPort(options.port));
  // Whoever brings another configuration of the session Worker has its secret beside that.
  if ((options.configurations ?? defaultConfigurations).includes(sessionConfiguration)) await ensureStateKeys();
  const url = `http://127.0.0.1:${String(options.port)}`;
  const variables = Object.entries(options.variables ?? {}).flatMap(([name, value]) => ["--var", `${name}:${value}`]);
  const configurations = (options.configurations ?? defaultConfigurations).flatMap((path) => ["-c", path]);
  const startId = randomUUID();
  const [first = ""] = options.configurations ?? defaultConfigurations;
  const guard = {
    ENTRY_ANY_HOST: String((options.variables?.API_KEYS ?? "") !== ""),
    ENTRY_START_ID: startId,
    ENTRY_WORKER_FIRST: JSON.stringify(workerFirst(inRepository(first))),
  };
  const group = startGroup(
    process.execPath,
    [
      ...["--no-warnings", "--import", inRepository("infra/local/wrangler-shut.ts")],
      ...[inRepository("node_modules/wrangler/wrangler-dist/cli.js"), "dev", ...configurations],
      ...[
        "--ip",
        options.host ?? "127.0.0.1",
        "--port",
        String(options.port),
        "--log-level",
        "warn",
        "--show-interactive-dev-session=false",
      ],
      ...(options.persistTo === undefined ? [] : ["--persist-to", options.persistTo]),
      ...variables,
    ],
    { cwd: repositoryRoot, env: { ...process.env, ...quietWrangler, ...guard, ...options.environment } },
  );
  let kept: string[] = [];
  const onData = (chunk: Buffer): void => {
    const text = chunk.toString("utf8");
    kept = [...kept, ...text.split("\n")].slice(-keptOutputLines);
    options.onOutput?.(text);
  };
  group.child.stdout?.on("data", onData);
  group.child.stderr?.on("data", onData);
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    group.child.once("exit", () => {
      hasEnded = true;
      claim.release();
      resolve();
    });
  });

  return {
    url,
    pid: group.child.pid,
    ended,
    stop: () => group.stop(),
    async untilReady(timeoutMilliseconds): Promise<void> {
      let last = "no answer yet";
      const look = async (): Promise<true | undefined> => {
        if (hasEnded) throw new Error(`The stack ended while it was starting. Its last output:\n${kept.join("\n")}`);
        last = await probe(`${url}/ready`, startId);
        return last === "ready" ? true : undefined;
      };
      await until(look, { milliseconds: timeoutMilliseconds, everyMilliseconds: 250 }, () => {
        throw new Error(
          `The stack was not ready after ${String(timeoutMilliseconds / 1000)} s (/ready: ${last}). Its last output:\n${kept.join("\n")}`,
        );
      });
    },
  };
}

/** "ready", or why not; another program's answer on the same port is not this stack's. */
async function probe(url: string, startId: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(60_000) });
    const body = await response.text();
    if (response.headers.get("x-spikingbrain-start") !== startId) return "another program answers on this port";
    return response.status === 200 ? "ready" : `status ${String(response.status)}: ${body.slice(0, 300)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
