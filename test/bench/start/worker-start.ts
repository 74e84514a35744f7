/** The engine Worker from nothing to its first token, in workerd under `wrangler dev`, beside a Worker that reads the same files. */
import { configurationsWith, startStack } from "../../../infra/local/stack.ts";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import { freePort } from "../../../infra/local/free-port.ts";
import { whenEnded } from "../ending.ts";

/** Seconds, by a clock outside. */
export interface WorkerStart {
  /** The files' bytes into a fresh memory: the least of some readings. */
  readonly reading: number;
  /** The same with the digest of each file. */
  readonly digests: number;
  /** From the first request to a Worker that nobody has asked anything: its code, its model and one token. */
  readonly first: number;
}

const readings = 3;
const readyTimeoutMilliseconds = 120_000;

/** Starts a stack of its own, and ends it. */
export async function workerStart(): Promise<WorkerStart> {
  const configurations = configurationsWith({ gateway: "test/bench/worker/start.toml" });
  const stack = await startStack({ port: await freePort(), configurations });
  const forget = whenEnded(() => stack.stop());
  try {
    await stack.untilReady(readyTimeoutMilliseconds);
    const least = async (path: string): Promise<number> => {
      const times = [];
      for (let reading = 0; reading < readings; reading += 1) times.push((await timed(stack.url + path)).seconds);
      return Math.min(...times);
    };
    const [reading, digests] = [await least("/read"), await least("/digest")];
    const { seconds, text } = await timed(`${stack.url}/first`);
    const outcome = JSON.parse(text) as Outcome<null>;
    if (!outcome.ok) throw new Error(`The engine Worker made no token: ${outcome.failure.message}`);
    return { reading, digests, first: seconds };
  } finally {
    forget();
    await stack.stop();
  }
}

async function timed(address: string): Promise<{ readonly seconds: number; readonly text: string }> {
  const begin = performance.now();
  const response = await fetch(address);
  const text = await response.text();
  if (!response.ok) throw new Error(`${address} answered ${String(response.status)}: ${text}`);
  return { seconds: (performance.now() - begin) / 1000, text };
}
