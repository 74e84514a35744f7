/** Processor time of the stack: on a busy machine it says what a request costs when wall time no longer does. */
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";

/** Linux counts in hundredths of a second towards programs, whatever the kernel's own tick is. */
const ticksPerSecond = 100;

/** Seconds computed so far. */
export interface ProcessorTime {
  /** By the runtime that holds the Workers: gateway, engine and the ways around the gateway. */
  readonly workers: number;
  /** By what only a development stack has: wrangler, which reads the log, and its proxy in front of the Workers. */
  readonly wrangler: number;
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly seconds: number;
  readonly arguments: readonly string[];
}

/** Of all living processes below this one, which started the stack at `url`; undefined where there is no /proc to read it from. */
export function processorTime(url: string): ProcessorTime | undefined {
  let entries: string[];
  try {
    entries = readdirSync("/proc");
  } catch {
    return undefined;
  }
  const processes = entries.filter((entry) => /^\d+$/.test(entry)).flatMap(readProcess);
  const below = new Set([process.pid]);
  // A child may come before its parent in the list, so the search goes on until nothing is added.
  for (let before = 0; before < below.size;) {
    before = below.size;
    for (const { pid, parent } of processes) if (below.has(parent)) below.add(pid);
  }
  below.delete(process.pid);
  const { host } = new URL(url);
  // Both are workerd; the proxy is the one that listens where clients come in.
  const isWorkers = ({ arguments: [program = "", ...rest] }: Process): boolean =>
    basename(program) === "workerd" && !rest.some((argument) => argument.endsWith(host));
  const time = { workers: 0, wrangler: 0 };
  for (const one of processes) if (below.has(one.pid)) time[isWorkers(one) ? "workers" : "wrangler"] += one.seconds;
  return time;
}

/** Nothing for a process that ended meanwhile. */
function readProcess(entry: string): Process[] {
  try {
    const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
    // The name, in parentheses, may hold anything; the fields after it are state, parent, … and from the twelfth on user and system time.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const seconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    const commandLine = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
    return [{ pid: Number(entry), parent: Number(fields[1]), seconds, arguments: commandLine }];
  } catch {
    return [];
  }
}
