/** Threads of this browser that compute a model with the one that has the scheduler. */
import { readyWord, type RankOrder } from "./messages.ts";

/** Written in by `build.mjs`. */
declare const rankWorkerPath: string;

/** More gain little with models of this size: each exchange between layers waits for the slowest. */
const mostThreads = 4;

/** What of a browser tells how many threads there can be. */
interface Browser {
  readonly crossOriginIsolated: boolean;
  readonly Worker?: unknown;
  readonly SharedArrayBuffer?: { readonly prototype: object };
  readonly navigator: { readonly hardwareConcurrency: number };
}

/** Threads that compute, this one among them: one where memory can't be shared. */
export function threadsHere({ crossOriginIsolated, Worker, SharedArrayBuffer, navigator }: Browser = globalThis): number {
  const shares = crossOriginIsolated && Worker !== undefined && SharedArrayBuffer !== undefined && "grow" in SharedArrayBuffer.prototype;
  return shares ? Math.max(1, Math.min(mostThreads, navigator.hardwareConcurrency)) : 1;
}

export class Ranks {
  readonly #workers: readonly Worker[];

  constructor(workers: readonly Worker[]) {
    this.#workers = workers;
  }

  /** None where one of them can't be had: this thread then computes alone. */
  static async start(module: WebAssembly.Module, count: number): Promise<Ranks> {
    const workers: Worker[] = [];
    try {
      for (let rank = 1; rank <= count; rank += 1) workers.push(new Worker(trustedPath(), { type: "module", name: `rank ${rank}` }));
      await Promise.all(workers.map((worker) => started(worker, module)));
      return new Ranks(workers);
    } catch {
      for (const worker of workers) worker.terminate();
      return new Ranks([]);
    }
  }

  get count(): number {
    return this.#workers.length;
  }

  /** `order` of each, by its rank. */
  tell(order: (rank: number) => RankOrder): void {
    for (const [index, worker] of this.#workers.entries()) worker.postMessage(order(index + 1));
  }

  end(): void {
    for (const worker of this.#workers) worker.terminate();
  }
}

function started(worker: Worker, module: WebAssembly.Module): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      if (data === readyWord) resolve();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    worker.postMessage({ type: "start", module } satisfies RankOrder);
  });
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): { createScriptURL: (url: string) => string };
}

let policy: ReturnType<TrustedTypes["createPolicy"]> | undefined;

/** This script's policy takes the address from here only. A policy can be made once. */
function trustedPath(): string {
  const { trustedTypes } = globalThis as { readonly trustedTypes?: TrustedTypes };
  if (trustedTypes === undefined) return rankWorkerPath;
  policy ??= trustedTypes.createPolicy("rank-worker", { createScriptURL: () => rankWorkerPath });
  return policy.createScriptURL("");
}
