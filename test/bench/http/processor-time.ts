/** Processor time of the whole stack: on a busy machine it says what a request costs when wall time no longer does. */
import { readdirSync, readFileSync } from "node:fs";

/** Linux counts in hundredths of a second towards programs, whatever the kernel's own tick is. */
const ticksPerSecond = 100;

interface ProcessTimes {
  readonly pid: number;
  readonly parent: number;
  readonly seconds: number;
}

/** Seconds that all living processes below this one have computed; undefined where there is no /proc to read it from. */
export function stackProcessorSeconds(root = process.pid): number | undefined {
  let entries: string[];
  try {
    entries = readdirSync("/proc");
  } catch {
    return undefined;
  }
  const processes = entries.filter((entry) => /^\d+$/.test(entry)).flatMap(readTimes);
  const below = new Set([root]);
  // A child may come before its parent in the list, so the search goes on until nothing is added.
  for (let before = 0; before < below.size;) {
    before = below.size;
    for (const { pid, parent } of processes) if (below.has(parent)) below.add(pid);
  }
  return processes.filter(({ pid }) => pid !== root && below.has(pid)).reduce((total, { seconds }) => total + seconds, 0);
}

/** Nothing for a process that ended meanwhile. */
function readTimes(entry: string): ProcessTimes[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${entry}/stat`, "utf8");
  } catch {
    return [];
  }
  // The name, in parentheses, may hold anything; the fields after it are state, parent, … and from the twelfth on user and system time.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return [{ pid: Number(entry), parent: Number(fields[1]), seconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond }];
}
