import { resolve } from "node:path";

export const repositoryRoot = resolve(import.meta.dirname, "../..");

export function inRepository(...parts: string[]): string {
  return resolve(repositoryRoot, ...parts);
}

/** Downloads live here, outside git; `SPIKINGBRAIN_CACHE` moves it. */
export function cacheDirectory(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const configured = environment.SPIKINGBRAIN_CACHE;
  return configured !== undefined && configured !== "" ? resolve(configured) : inRepository(".cache/spikingbrain");
}
