import { spawn, type ChildProcess } from "node:child_process";

/** A child and everything it starts, ended together. */
export interface ProcessGroup {
  readonly child: ChildProcess;
  /** Ends every process of the group; resolves when the child is gone. */
  stop(): Promise<void>;
}

/** How long a group may take to end by itself before it is killed. */
const graceMilliseconds = 5000;

export function startGroup(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): ProcessGroup {
  // detached makes the child the leader of a new group, so that a signal to -pid reaches its children too.
  const child = spawn(command, args, { ...options, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const closed = new Promise<void>((resolve) => {
    child.once("close", () => {
      resolve();
    });
    child.once("error", () => {
      resolve();
    });
  });
  return {
    child,
    async stop(): Promise<void> {
      if (child.pid === undefined) return;
      signalGroup(child.pid, "SIGTERM");
      const timer = setTimeout(signalGroup, graceMilliseconds, child.pid, "SIGKILL");
      await closed;
      clearTimeout(timer);
      // The leader may be gone while one of its children is not.
      signalGroup(child.pid, "SIGKILL");
    },
  };
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
