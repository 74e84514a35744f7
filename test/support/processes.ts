/** Processes and their ports as Linux's /proc shows them. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Every process below the given one. */
export function descendants(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readOrNothing(`/proc/${entry}/stat`);
    const [, parent] = /^\d+ \(.*\) \S (\d+)/s.exec(stat) ?? [];
    if (parent !== undefined) parents.set(Number(entry), Number(parent));
  }
  const found = [root];
  for (const process of found) for (const [child, parent] of parents) if (parent === process) found.push(child);
  return found.slice(1);
}

/** Whether a process runs; one that has ended and that nobody has asked for its status does not. */
export function isAlive(pid: number): boolean {
  const [, state] = /^\d+ \(.*\) (\S)/s.exec(readOrNothing(`/proc/${String(pid)}/stat`)) ?? [];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** The TCP ports on which any of the processes listens, ascending. */
export function listeningPorts(pids: readonly number[]): number[] {
  const listening = "0A";
  const portOf = new Map<string, number>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readOrNothing(table).split("\n").slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === listening && local !== undefined && inode !== undefined)
        portOf.set(inode, Number.parseInt(local.split(":")[1] ?? "", 16));
    }
  }
  const ports = new Set<number>();
  for (const pid of pids) {
    for (const inode of socketsOf(pid)) {
      const port = portOf.get(inode);
      if (port !== undefined) ports.add(port);
    }
  }
  return [...ports].sort((left, right) => left - right);
}

function socketsOf(pid: number): string[] {
  const directory = `/proc/${String(pid)}/fd`;
  try {
    return readdirSync(directory).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${directory}/${fd}`))?.[1] ?? [];
      } catch {
        return []; // It was closed while the list was read.
      }
    });
  } catch {
    return []; // The process ended.
  }
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // It ended while the list was read.
  }
}
