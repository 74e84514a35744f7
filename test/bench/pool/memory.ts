/** Memory of a program and all that it has started, from /proc. */
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";

export interface Resident {
  /** MiB, of all its processes. */
  readonly whole: number;
  /** MiB, of the runtime that holds the Workers: without wrangler, its compiler, and the runtime of its proxy. Zero for other programs. */
  readonly workers: number;
}

/** Undefined where there is no /proc. `url`: where the program answers. */
export function resident(root: number, url: string): Resident | undefined {
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
    const own = processes.filter(({ pid }) => below.has(pid));
    const { host } = new URL(url);
    const holdsWorkers = ({ command: [program = "", ...rest] }: Process): boolean =>
      basename(program) === "workerd" && !rest.some((argument) => argument.endsWith(host));
    return { whole: mebibytes(own), workers: mebibytes(own.filter(holdsWorkers)) };
  } catch {
    return undefined;
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly kibibytes: number;
  readonly command: readonly string[];
}

const mebibytes = (processes: readonly Process[]): number => processes.reduce((sum, { kibibytes }) => sum + kibibytes, 0) / 1024;

/** Nothing for a process that ended meanwhile. */
function statusOf(entry: string): Process[] {
  try {
    const status = readFileSync(`/proc/${entry}/status`, "utf8");
    const field = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0);
    const command = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
    return [{ pid: Number(entry), parent: field("PPid"), kibibytes: field("VmRSS"), command }];
  } catch {
    return [];
  }
}
