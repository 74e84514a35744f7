/** The port that a stack serves on: which one, and that nobody else has it. */
import { createServer } from "node:net";
import { holders, tryLock, type Holder, type Lock } from "./lock.mjs";
import { repositoryRoot } from "./paths.ts";

const defaultPort = 8787;
const highestPort = 65_535;
const lockPrefix = "port-";

/** What a stack tells others of itself. */
export interface Served {
  readonly directory: string;
  readonly port: number;
}

/** The `PORT` variable, 8787 when it is not set. */
export function portFrom(text: string | undefined): number {
  if (text === undefined || text === "") return defaultPort;
  const port = /^\d+$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > highestPort) throw new Error(`PORT must be an integer from 1 to ${String(highestPort)}; it is "${text}".`);
  return port;
}

/** How whoever starts a stack asks for a port. */
export type PortAsked = (port: number) => string;

const askedOfStart: PortAsked = (port) => `PORT=${String(port)} npm start`;

/** Takes a port for a stack of this project, so that two starts at once can't both take it; says who has it otherwise. */
export async function claimPort(port: number, asked = askedOfStart): Promise<Lock> {
  const served: Served = { directory: repositoryRoot, port };
  const lock = await tryLock(`${lockPrefix}${String(port)}`, { ...served });
  if ("holder" in lock) {
    const { pid, directory } = lock.holder;
    const who = `spikingbrain-edge in ${typeof directory === "string" ? directory : "another directory"} (process ${String(pid)})`;
    throw new Error(`Port ${String(port)} is in use by ${who}. \`kill ${String(pid)}\` stops it; ${anotherPort(port, asked)}`);
  }
  try {
    await mustBeFree(port, asked);
    return lock;
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Other processes that serve from this directory, or are about to. */
export async function othersServing(directory = repositoryRoot): Promise<Holder[]> {
  return (await holders(lockPrefix)).filter((holder) => holder.directory === directory && holder.pid !== process.pid);
}

function anotherPort(port: number, asked: PortAsked): string {
  return `another port: ${asked(port < highestPort ? port + 1 : defaultPort)}`;
}

async function mustBeFree(port: number, asked: PortAsked): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const server = createServer();
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === "EADDRINUSE" ? "is in use by another program. Stop that one" : `cannot be used (${String(cause.code)})`;
      reject(new Error(`Port ${String(port)} ${reason}, or take ${anotherPort(port, asked)}`, { cause }));
    });
    server.listen(port, "127.0.0.1", () => {
      server.close(() => {
        resolve();
      });
    });
  });
}
