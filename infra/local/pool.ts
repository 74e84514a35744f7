/**
 * `npm run pool`: the stack with two replicas of vLLM on this machine that register with it, until Ctrl-C. A replica that ends is started again,
 * as an orchestrator would.
 */
import { buildWebPage } from "./build-web-page.ts";
import { onEnd } from "./lifetime.ts";
import { prepareModel } from "./models/prepare-model.ts";
import { engineConfigurationsFor } from "./models/spiking-engine.ts";
import { writePoolFiles } from "./pool/configuration.ts";
import { builtIn, seven, type PooledReplica } from "./pool/models.ts";
import { startReplica, type Replica } from "./pool/replica.ts";
import { claimPort } from "./port.ts";
import { setupVllm } from "./python/setup-python.ts";
import { reportFailure } from "./run.ts";
import { startSettings } from "./settings.ts";
import { configurationsWith, startStack, type Stack } from "./stack.ts";
import { gatewayVariables } from "./variables.ts";
import { pause } from "../../workers/waiting/within.ts";

const readyTimeoutMilliseconds = 180_000;
/** Long enough to see who answers meanwhile. */
const restartMilliseconds = 15_000;
const progressMilliseconds = 10_000;

class Pool {
  readonly #stopping = new AbortController();
  readonly #replicas = new Map<string, Replica>();
  stack: Stack | undefined;

  isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Until the pool stops. */
  async keep(plan: PooledReplica, edge: string, nodeFile: string, onFirstReady: () => void): Promise<void> {
    for (let hasBeenReady = false; !this.isStopping(); hasBeenReady = true) {
      const replica = await startReplica({ ...plan, edge, nodeFile }, (line) => {
        console.log(`[${plan.id}] ${line}`);
      });
      this.#replicas.set(plan.id, replica);
      try {
        await replica.ready();
      } catch (error) {
        if (this.isStopping()) return;
        throw error;
      }
      if (hasBeenReady) console.log(`[${plan.id}] serves again, as process ${String(replica.pid)}`);
      else onFirstReady();
      const code = await replica.ended;
      if (this.isStopping()) return;
      console.log(
        `[${plan.id}] its replica has ended (status ${String(code)}); another one starts in ${String(restartMilliseconds / 1000)} s`,
      );
      await pause(restartMilliseconds);
    }
  }

  pidOf(id: string): number | undefined {
    return this.#replicas.get(id)?.pid;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#replicas.values()].map((replica) => replica.stop()));
    await this.stack?.stop();
  }
}

async function main(): Promise<void> {
  const { port, spikes } = startSettings();
  const { variables, isOpen } = gatewayVariables(process.env);
  const claim = await claimPort(port, (other) => `PORT=${String(other)} npm run pool`);
  const pool = new Pool();
  let isSetUp = false;
  onEnd(() => {
    console.log("\nStopping …");
    if (!isSetUp) process.exit(0);
    void pool.stop();
  });
  await setupVllm();
  const manifest = await prepareModel(undefined, { all: true });
  await buildWebPage();
  const plans = [builtIn(manifest.id), await seven()];
  const files = writePoolFiles(port);
  try {
    const written = engineConfigurationsFor(spikes, manifest);
    const configurations = configurationsWith({ pool: files.configuration, ...written });
    console.log("Starting the Workers, and a replica of each model: half a minute to a few …");
    isSetUp = true;
    const stack = await startStack({ port, claim, configurations, variables, onOutput: (text) => process.stdout.write(text) });
    pool.stack = stack;
    const waiting = setInterval(() => console.log("  still starting …"), progressMilliseconds);
    const firsts = plans.map((plan) => {
      const { promise, resolve } = Promise.withResolvers<null>();
      return { kept: pool.keep(plan, stack.url, files.nodeFile, () => resolve(null)), promise };
    });
    const failed = Promise.all(firsts.map(({ kept }) => kept));
    failed.catch(() => undefined);
    try {
      await Promise.race([Promise.all([stack.untilReady(readyTimeoutMilliseconds), ...firsts.map(({ promise }) => promise)]), failed]);
    } finally {
      clearInterval(waiting);
    }
    if (!pool.isStopping()) printUsage(stack.url, plans, isOpen, (id) => pool.pidOf(id));
    await Promise.race([stack.ended, failed]);
    if (!pool.isStopping()) throw new Error("The Workers ended by themselves; their last messages are above.");
  } catch (error) {
    if (!pool.isStopping()) throw error;
  } finally {
    await pool.stop();
    files.remove();
  }
}

function printUsage(url: string, plans: readonly PooledReplica[], isOpen: boolean, pidOf: (id: string) => number | undefined): void {
  const key = isOpen ? "sk-local-development" : "sk-…";
  const curl = ({ id }: PooledReplica): string => {
    const messages = [{ role: "user", content: "Why is the sky blue? Explain at length." }];
    const body = JSON.stringify({ model: id, stream: true, placement: true, temperature: 0, max_tokens: 400, messages });
    return `curl -N ${url}/v1/chat/completions -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -d '${body}'`;
  };
  const [first] = plans;
  console.log(`
  Chat:     ${url}/
  API:      ${url}/v1
  Models:   curl ${url}/v1/models -H "Authorization: Bearer ${key}"
${plans.map((plan) => `\n  ${plan.id} (${plan.says}; process ${String(pidOf(plan.id))}):\n\n  ${curl(plan)}\n`).join("")}
  To see an answer survive its replica, start the first of these, and in its midst, from another shell:

  kill -9 ${String(first === undefined ? undefined : pidOf(first.id))}

  The answer goes on in the WASM engine; ${String(restartMilliseconds / 1000)} s later another replica starts, and new turns return to it.

  Ctrl-C stops everything.
`);
}

try {
  await main();
} catch (error) {
  reportFailure(error);
}
