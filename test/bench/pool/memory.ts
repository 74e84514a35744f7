/** Memory of a program and all that it has started, from /proc. */
import { readdirSync, readFileSync } from "node:fs";

/** MiB that are resident; undefined where there is no /proc. */
export function residentMebibytes(root: number): number | undefined {
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
    return processes.filter(({ pid }) => below.has(pid)).reduce((sum, { kibibytes }) => sum + kibibytes, 0) / 1024;
  } catch {
    return undefined;
  }
}

/** Nothing for a process that ended meanwhile. */
function statusOf(entry: string): { readonly pid: number; readonly parent: number; readonly kibibytes: number }[] {
  try {
    const status = readFileSync(`/proc/${entry}/status`, "utf8");
    const field = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? 0);
    return [{ pid: Number(entry), parent: field("PPid"), kibibytes: field("VmRSS") }];
  } catch {
    return [];
  }
}
