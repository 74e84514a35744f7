/** A worker thread that is a rank beside the first: loads its part of the model from the file, then follows. */
import { parentPort, workerData } from "node:worker_threads";
import { Follower, type CallLine } from "../../../workers/engine/ranks/calls.ts";
import { SharedExchange, type Meeting } from "../../../workers/engine/ranks/exchange.ts";
import { follow } from "../../../workers/engine/ranks/follow.ts";
import type { LoaderOptions } from "../../../workers/engine/engine-surface.ts";
import { instantiate } from "../engine-package.ts";
import type { PackageName } from "../package-surface.ts";
import { partChunkBytes, pushFile, type FileVersion } from "../weights-file.ts";

export interface RankThreadData {
  readonly path: string;
  readonly version: FileVersion;
  readonly package: PackageName;
  readonly options: LoaderOptions & { readonly rank: number };
  readonly meeting: Meeting;
  readonly line: CallLine;
}

/** What it tells before it follows: how far into the file it has come, and how it has ended. */
export type RankThreadMessage = { readonly at: number } | { readonly bytesRead: number } | { readonly failure: string };

const { path, version, package: name, options, meeting, line } = workerData as RankThreadData;
const tell = (message: RankThreadMessage) => parentPort?.postMessage(message);

try {
  const { ModelLoader, memory } = await instantiate(name);
  const exchange = new SharedExchange(meeting, () => memory.buffer);
  const loader = new ModelLoader(JSON.stringify(options), exchange);
  const bytesRead = await pushFile(path, loader, { version, chunkBytes: partChunkBytes, onProgress: (at) => tell({ at }) });
  tell({ bytesRead });
  follow(
    new Follower(line, options.rank - 1),
    () => loader.finish(),
    (code) => {
      exchange.leave(code);
    },
  );
} catch (error) {
  tell({ failure: error instanceof Error ? error.message : String(error) });
}
