/** A model over several worker threads, each with its rows in a memory of its own. */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Caller, createLine } from "../../../workers/engine/ranks/calls.ts";
import { createMeeting, SharedExchange } from "../../../workers/engine/ranks/exchange.ts";
import { RankedEngine } from "../../../workers/engine/ranks/ranked-engine.ts";
import { bestPackage, inspectModel, instantiate } from "../engine-package.ts";
import type { LoadOptions } from "../package-surface.ts";
import { partChunkBytes, pushFile, versionOf, type FileVersion } from "../weights-file.ts";
import type { RankThreadData, RankThreadMessage } from "./rank-thread.ts";

export interface ThreadsOptions extends LoadOptions {
  readonly threads: number;
  /** What the file must be, as when its digest was made; as it is now where it is left out. */
  readonly version?: FileVersion;
}

export interface ThreadedEngine {
  readonly engine: RankedEngine;
  /** Bytes of the file that each thread has read. */
  readonly bytesRead: readonly number[];
  /** Ends the other threads; the engine is then of no more use. */
  readonly end: () => Promise<void>;
}

/** This thread is the first of them. One process has one such engine of a build, and blocks while it computes. `onProgress` counts every thread's way. */
export async function loadOverThreads(path: string, { threads, version: given, ...rest }: ThreadsOptions): Promise<ThreadedEngine> {
  const { package: name = bestPackage(), onProgress, ...options } = rest;
  const { exchangedBytes } = await inspectModel(path, []);
  const version = given ?? (await versionOf(path));
  const meeting = createMeeting(threads, exchangedBytes);
  const line = createLine(threads - 1);
  const done = Array.from({ length: threads }, () => 0);
  const advance = (rank: number, at: number): void => {
    done[rank] = at;
    onProgress?.(
      done.reduce((sum, one) => sum + one, 0),
      threads * version.bytes,
    );
  };
  const workers = Array.from({ length: threads - 1 }, (_, index) => {
    const data: RankThreadData = { path, version, package: name, options: { ...options, rank: index + 1, ranks: threads }, meeting, line };
    return new Worker(join(import.meta.dirname, "rank-thread.ts"), { workerData: data });
  });
  const end = async (): Promise<void> => {
    await Promise.all(workers.map((worker) => worker.terminate()));
  };
  try {
    const { ModelLoader, memory } = await instantiate(name);
    const exchange = new SharedExchange(meeting, () => memory.buffer);
    const loader = new ModelLoader(JSON.stringify({ ...options, rank: 0, ranks: threads }), exchange);
    const reading = {
      version,
      ...(threads === 1 ? {} : { chunkBytes: partChunkBytes }),
      onProgress: (at: number) => {
        advance(0, at);
      },
    };
    const bytesRead = await Promise.all([
      pushFile(path, loader, reading),
      ...workers.map((worker, index) =>
        loaded(worker, (at) => {
          advance(index + 1, at);
        }),
      ),
    ]);
    const engine = new RankedEngine({ caller: new Caller(line), meeting, exchange, finish: () => loader.finish() });
    return { engine, bytesRead, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** The bytes that it has read. Rejects where the thread ends by an error of its own. */
function loaded(worker: Worker, onProgress: (at: number) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.on("error", reject);
    worker.on("message", (message: RankThreadMessage) => {
      if ("at" in message) onProgress(message.at);
      else if ("bytesRead" in message) resolve(message.bytesRead);
      else reject(new Error(message.failure));
    });
  });
}
