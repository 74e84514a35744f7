/** A port for a server that is started a little later. */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below those that systems give to outgoing connections (32,768 and above on Linux), one of which could take the port before the server does. */
const ports = { least: 20_000, most: 32_767 } as const;
const mostTries = 100;

/** Each only once in a process. */
const given = new Set<number>();

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < mostTries; attempt++) {
    const port = randomInt(ports.least, ports.most + 1);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`None of ${String(mostTries)} ports from ${String(ports.least)} to ${String(ports.most)} is free.`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, "127.0.0.1"), "listening");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw cause;
  }
  server.close();
  await once(server, "close");
  return true;
}
