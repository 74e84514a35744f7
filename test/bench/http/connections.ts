/** So many connections, each with one request at any time, until all have been made. */
import { Agent } from "node:http";

export interface Made<T> {
  readonly results: readonly T[];
  /** Of all together. */
  readonly seconds: number;
}

export function agentOf(connections: number): Agent {
  return new Agent({ keepAlive: true, maxSockets: connections });
}

export async function overConnections<T>(connections: number, amount: number, make: (agent: Agent) => Promise<T>): Promise<Made<T>> {
  const agent = agentOf(connections);
  const results: T[] = [];
  let left = amount;
  const begin = performance.now();
  try {
    await Promise.all(
      Array.from({ length: connections }, async () => {
        while (left > 0) {
          left -= 1;
          results.push(await make(agent));
        }
      }),
    );
  } finally {
    agent.destroy();
  }
  return { results, seconds: (performance.now() - begin) / 1000 };
}
