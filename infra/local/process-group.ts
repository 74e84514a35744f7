import { spawn, type ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import { within } from "../../workers/waiting/within.ts";

/**
 * A child and everything it starts, ended together: by {@link ProcessGroup.stop}, and also when this process is gone without a word. For that the
 * child holds the other end of a pipe, {@link lifelineDescriptor}; a child that calls `endWithStarter` ends its group when the pipe does.
 */
export interface ProcessGroup {
  readonly child: ChildProcess;
  /** Ends every process of the group; resolves when the child is gone. */
  stop(): Promise<void>;
}

/** How long a group may take to end by itself before it is killed. */
const graceMilliseconds = 5000;
/** The same without anybody who waits for it. */
const orphanGraceMilliseconds = 1000;
const lifelineDescriptor = 3;

export function startGroup(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): ProcessGroup {
  // detached makes the child the leader of a new group, so that a signal to -pid reaches its children too.
  const child = spawn(command, args, { ...options, detached: true, stdio: ["ignore", "pipe", "pipe", "pipe"] });
  // "exit", as "close" also waits for those that hold the same output, and they may outlive the child.
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => {
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
      await within(gone, graceMilliseconds, () => undefined);
      // The leader may be gone while one of its children is not.
      signalGroup(child.pid, "SIGKILL");
      await gone;
    },
  };
}

/** For the leader of a group, in its own process: ends the group when whoever started it is gone, however that one ended. */
export function endWithStarter(): void {
  const lifeline = new Socket({ fd: lifelineDescriptor });
  const end = (): void => {
    // Its own handler of SIGTERM would leave before the others are gone.
    process.removeAllListeners("SIGTERM").on("SIGTERM", () => undefined);
    signalGroup(process.pid, "SIGTERM");
    setTimeout(signalGroup, orphanGraceMilliseconds, process.pid, "SIGKILL");
  };
  lifeline.once("error", end).once("end", end).resume().unref();
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
