/** A replica on this machine: `python -m spikingbrain_vllm serve` on a CPU, registered with the local stack. */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pause, until, within } from "../../../workers/waiting/within.ts";
import { freePort } from "../free-port.ts";
import { cacheDirectory, inRepository, repositoryRoot } from "../paths.ts";
import { startGroup, type ProcessGroup } from "../process-group.ts";
import { vllmPython } from "../python/setup-python.ts";

export interface ReplicaPlan {
  /** Its name in the pool. */
  readonly name: string;
  /** What to serve: a folder, a `.gguf` file, or the id of a model that set-up has made. */
  readonly model: string;
  /** Options of `serve`, and behind `--` of vLLM. */
  readonly options: readonly string[];
  readonly edge: string;
  readonly nodeFile: string;
}

export interface Replica {
  readonly name: string;
  /** Of the process that answers; undefined while there is none. */
  readonly pid: number | undefined;
  /** Resolves once the edge knows it; rejects where it ends before, with its last words. */
  ready(): Promise<void>;
  /** How it ended: its exit code, 128 and more where a signal ended it. */
  readonly ended: Promise<number>;
  /** Lets its requests end, for a moment. */
  stop(): Promise<void>;
}

/** What a replica says itself; libraries warn of much beside it that is of no use to anybody here. */
const ownLine = /^(ready|draining: |ends |the edge |error: )/;
const keptLines = 200;
const drainSeconds = 3;
const lookMilliseconds = 250;
/** Reading weights, the first token and the edge: half a minute on a free machine. */
const readyMilliseconds = 600_000;

export async function startReplica(
  { name, model, options, edge, nodeFile }: ReplicaPlan,
  onLine: (line: string) => void,
): Promise<Replica> {
  const port = await freePort();
  const settled = [
    "--port",
    String(port),
    "--name",
    name,
    "--edge",
    edge,
    "--node-file",
    nodeFile,
    "--drain-seconds",
    String(drainSeconds),
  ];
  const group = startGroup(
    process.execPath,
    [
      ...["--no-warnings", inRepository("infra/local/pool/replica-process.ts"), vllmPython, "-m", "spikingbrain_vllm", "serve", model],
      ...[...settled, ...options],
    ],
    { cwd: repositoryRoot, env: environment() },
  );
  let kept: string[] = [];
  let pid: number | undefined;
  let isKnown = false;
  for (const output of [group.child.stdout, group.child.stderr]) {
    if (output === null) continue;
    createInterface({ input: output }).on("line", (line) => {
      const [, id] = /^replica process (\d+)$/.exec(line) ?? [];
      if (id !== undefined) {
        pid = Number(id);
        return;
      }
      isKnown ||= line.endsWith(`knows this replica as ${name}: ready`);
      kept = [...kept, line].slice(-keptLines);
      if (ownLine.test(line)) onLine(line);
    });
  }
  let hasEnded = false;
  const ended = new Promise<number>((resolve) => {
    group.child.once("exit", (code) => {
      hasEnded = true;
      pid = undefined;
      resolve(code ?? 1);
    });
  });
  return {
    name,
    ended,
    get pid() {
      return pid;
    },
    async ready() {
      const look = (): true | undefined => {
        if (hasEnded) throw new Error(`The replica ${name} ended while it was starting. Its last lines:\n${kept.join("\n")}`);
        return isKnown || undefined;
      };
      await until(look, { milliseconds: readyMilliseconds, everyMilliseconds: lookMilliseconds }, () => {
        throw new Error(
          `The replica ${name} was not ready after ${String(readyMilliseconds / 1000)} s. Its last lines:\n${kept.join("\n")}`,
        );
      });
    },
    async stop() {
      await stopGently(group, pid, ended);
    },
  };
}

/** The process that answers first: its engine's end, with all of the group, would look like a failure to it. */
async function stopGently(group: ProcessGroup, pid: number | undefined, ended: Promise<number>): Promise<void> {
  if (pid !== undefined) {
    try {
      process.kill(pid, "SIGTERM");
      await within(ended, 1000 * (drainSeconds + 7), () => undefined);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  await group.stop();
  await pause(0);
}

/** One thread each and little memory: several share this machine with the stack. What torch compiles for this machine is kept for the next start. */
function environment(): NodeJS.ProcessEnv {
  const threads = { OMP_NUM_THREADS: "1", VLLM_CPU_OMP_THREADS_BIND: "nobind", VLLM_CPU_KVCACHE_SPACE: "1" };
  const compiled = { TORCHINDUCTOR_CACHE_DIR: join(cacheDirectory(), "torch") };
  return {
    ...threads,
    ...compiled,
    ...process.env,
    PYTHONPATH: inRepository("gpu-backend"),
    PYTHONUNBUFFERED: "1",
    VLLM_LOGGING_LEVEL: "ERROR",
  };
}
