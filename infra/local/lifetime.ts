/** When `npm start` ends: on a signal, and when whoever started it is gone. */
import { readFileSync } from "node:fs";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const watchMilliseconds = 500;

/**
 * Calls `stop` once: at the first signal, or when the process above this one is gone. npm hands SIGTERM to a shell that may end without a word to
 * us, and SIGKILL is handed to nobody. Without npm or bootstrap.mjs above it, as under a service manager, only signals count.
 */
export function onEnd(stop: () => void, environment: Readonly<Record<string, string | undefined>> = process.env): void {
  let stopped = false;
  const once = (): void => {
    if (stopped) return;
    stopped = true;
    stop();
  };
  for (const signal of signals) process.on(signal, once);
  if (environment.npm_lifecycle_event === undefined && environment.STARTED_BY_BOOTSTRAP === undefined) return;
  const parent = process.ppid;
  const above = aboveShell(parent);
  setInterval(() => {
    if (process.ppid !== parent || aboveShell(parent) !== above) once();
  }, watchMilliseconds).unref();
}

/** The parent of a shell that npm has put between, where /proc tells: npm may be gone while its shell waits for us. */
function aboveShell(pid: number): number | undefined {
  try {
    const [, name = "", parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${String(pid)}/stat`, "utf8")) ?? [];
    return /^(ba|da|z)?sh$/.test(name) ? Number(parent) : undefined;
  } catch {
    return undefined;
  }
}
