/** Memory and computing time of a program and all that it has started, from /proc. */
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";

export interface Resident {
  /** MiB, of all its processes. */
  readonly whole: number;
  /** MiB, of the runtime that holds the Workers: without wrangler, its compiler, and the runtime of its proxy. Zero for other programs. */
  readonly workers: number;
}

/** The kernel counts computing time in these, on every machine that runs this. */
const ticksASecond = 100;

/** Undefined where there is no /proc. `url`: where the program answers. */
export function resident(root: number, url: string): Resident | undefined {
  const own = processesBelow(root);
  return own === undefined ? undefined : { whole: mebibytes(own), workers: mebibytes(own.filter(holdsWorkers(url))) };
}

/** Seconds that the runtime which holds the Workers has computed, as `Resident.workers` means it; undefined without one. */
export function computed(root: number, url: string): number | undefined {
  const own = processesBelow(root)?.filter(holdsWorkers(url)) ?? [];
  return own.length === 0 ? undefined : own.reduce((sum, { ticks }) => sum + ticks, 0) / ticksASecond;
}

function processesBelow(root: number): readonly Process[] | undefined {
  try {
    const processes = readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .flatMap((entry) => statusOf(entry));
    const below = new Set([root]);
    // A child may come before its parent in the list, so the search goes on until nothing is added.
    for (let before = 0; before < below.size;) {
      before = below.size;
      for (const { pid, parent } of processes) if (below.has(parent)) below.add(pid);
    }
    return processes.filter(({ pid }) => below.has(pid));
  } catch {
    return undefined;
  }
}

function holdsWorkers(url: string): (process: Process) => boolean {
  const { host } = new URL(url);
  return ({ command: [program = "", ...rest] }) => basename(program) === "workerd" && !rest.some((argument) => argument.endsWith(host));
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly kibibytes: number;
  readonly ticks: number;
  readonly command: readonly string[];
}

const mebibytes = (processes: readonly Process[]): number => processes.reduce((sum, { kibibytes }) => sum + kibibytes, 0) / 1024;

/** Nothing for a process that ended meanwhile. */
function statusOf(entry: string): Process[] {
  try {
    const status = readFileSync(`/proc/${entry}/status`, "utf8");
    const field = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0);
    // Behind the program's name, which may hold anything: the 14th and the 15th of all fields.
    const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
    const times = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(times[11]) + Number(times[12]);
    const command = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
    return [{ pid: Number(entry), parent: field("PPid"), kibibytes: field("VmRSS"), ticks, command }];
  } catch {
    return [];
  }
}
