/** A model over several worker threads, each with its rows in a memory of its own. */
import { once } from "node:events";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Caller, createLine } from "../../../workers/engine/ranks/calls.ts";
import { createMeeting, SharedExchange } from "../../../workers/engine/ranks/exchange.ts";
import { RankedEngine } from "../../../workers/engine/ranks/ranked-engine.ts";
import { bestPackage, fileSize, inspectModel, instantiate } from "../engine-package.ts";
import type { LoadOptions } from "../package-surface.ts";
import type { RankThreadData, RankThreadMessage } from "./rank-thread.ts";
import { pushFile } from "./weights-file.ts";

export interface ThreadsOptions extends LoadOptions {
  readonly threads: number;
  /** What the file must be, hex; not checked where it is left out. */
  readonly sha256?: string;
}

export interface ThreadedEngine {
  readonly engine: RankedEngine;
  /** Ends the other threads; the engine is then of no more use. */
  readonly end: () => Promise<void>;
}

/** This thread is the first of them. One process has one such engine of a build, and blocks while it computes. */
export async function loadOverThreads(path: string, { threads, sha256, ...given }: ThreadsOptions): Promise<ThreadedEngine> {
  const { package: name = bestPackage(), onProgress, ...options } = given;
  const size = fileSize(path);
  const { exchangedBytes } = await inspectModel(path, []);
  const meeting = createMeeting(threads, exchangedBytes);
  const line = createLine(threads - 1);
  const workers = Array.from({ length: threads - 1 }, (_, index) => {
    const data: RankThreadData = { path, package: name, options: { ...options, rank: index + 1, ranks: threads }, meeting, line };
    return new Worker(join(import.meta.dirname, "rank-thread.ts"), { workerData: data });
  });
  const end = async (): Promise<void> => {
    await Promise.all(workers.map((worker) => worker.terminate()));
  };
  try {
    const { ModelLoader, memory } = await instantiate(name);
    const exchange = new SharedExchange(meeting, () => memory.buffer);
    const loader = new ModelLoader(JSON.stringify({ ...options, rank: 0, ranks: threads }), exchange);
    await Promise.all([
      pushFile(path, loader, { onProgress: (read) => onProgress?.(read, size), ...(sha256 === undefined ? {} : { sha256 }) }),
      ...workers.map(loaded),
    ]);
    const engine = new RankedEngine({ caller: new Caller(line), meeting, exchange, finish: () => loader.finish() });
    return { engine, end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function loaded(worker: Worker): Promise<void> {
  // Rejects where the thread ends by an error of its own.
  const [message] = (await once(worker, "message")) as [RankThreadMessage];
  if (!message.loaded) throw new Error(message.message);
}
