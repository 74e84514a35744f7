/** A pinned file from an address, as its publisher serves it. */
import { open } from "node:fs/promises";
import { cachedFile, type PinnedFile } from "./cached-file.ts";

export interface DownloadLimits {
  /** Milliseconds until the answer begins. */
  readonly answer: number;
  /** Milliseconds without a byte. */
  readonly silence: number;
}

type SizedFile = PinnedFile & { readonly bytes: number };

/** Another source is often at hand, so nobody waits long for this one. */
const defaultLimits: DownloadLimits = { answer: 15_000, silence: 30_000 };

/** The path of the file in the cache, downloaded if it is not there. @throws an error that names the address and what is wrong. */
export async function fetchFromUrl(url: string, file: SizedFile, cache: string, limits = defaultLimits): Promise<string> {
  return await cachedFile(file, cache, async (path) => {
    console.log(`Downloading ${url} (once) …`);
    const stop = new AbortController();
    try {
      await download(url, file, path, limits, stop);
    } catch (cause) {
      throw new Error(`${url} ${reasonOf(stop.signal.aborted ? stop.signal.reason : cause)}.`, { cause });
    } finally {
      stop.abort();
    }
  });
}

async function download(url: string, file: SizedFile, path: string, limits: DownloadLimits, stop: AbortController): Promise<void> {
  const within = (time: number, what: string) => setTimeout(() => stop.abort(new Error(what)), time);
  let timer = within(limits.answer, `did not answer within ${String(limits.answer / 1000)} s`);
  const out = await open(path, "w");
  try {
    const response = await fetch(url, { signal: stop.signal });
    if (!response.ok || response.body === null) throw new Error(`answered with status ${String(response.status)}`);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let bytes = 0;
    for (let part = await reader.read(); part.value !== undefined; part = await reader.read()) {
      clearTimeout(timer);
      timer = within(limits.silence, `sent nothing for ${String(limits.silence / 1000)} s`);
      bytes += part.value.length;
      if (bytes > file.bytes) throw new Error(`sent more than the ${String(file.bytes)} bytes of ${file.name}`);
      await out.writeFile(part.value);
    }
    if (bytes < file.bytes) throw new Error(`sent ${String(bytes)} of the ${String(file.bytes)} bytes of ${file.name}`);
  } finally {
    clearTimeout(timer);
    await out.close();
  }
}

/** `fetch` says that it failed, and why in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `could not be reached: ${error.cause.message}` : error.message;
}
