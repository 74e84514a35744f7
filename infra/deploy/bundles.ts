/** Bundles each Worker as it would be uploaded, and compares it with what Cloudflare takes. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Wrangler } from "./wrangler.ts";

/** https://developers.cloudflare.com/workers/platform/limits/ of the paid plan, which the limits of processor time in the configurations need. */
const limits = { compressedBytes: 10 << 20, assetBytes: 25 << 20, assets: 100_000 } as const;

export interface Bundle {
  readonly bytes: number;
  /** With gzip, as the limit counts. */
  readonly compressedBytes: number;
  readonly assets: number;
  readonly assetBytes: number;
  readonly largestAssetBytes: number;
}

/** Without asking Cloudflare. @throws Error where it can't be bundled or is beyond a limit. */
export async function bundleOf(run: Wrangler, role: string, configuration: string, assets: string | undefined): Promise<Bundle> {
  const folder = mkdtempSync(join(tmpdir(), "spikingbrain-bundle-"));
  try {
    const { status, output } = await run(["deploy", "-c", configuration, "--dry-run", "--outdir", folder]);
    if (status !== 0) throw new Error(`The ${role} Worker cannot be bundled:\n${output.trim()}`);
    // Beside the modules lie a map of their sources and a text of wrangler's.
    const modules = filesIn(folder).filter((path) => !path.endsWith(".map") && !path.endsWith("README.md"));
    const files = assets === undefined ? [] : filesIn(assets).map((path) => statSync(path).size);
    const bundle = {
      bytes: modules.reduce((sum, path) => sum + statSync(path).size, 0),
      compressedBytes: modules.reduce((sum, path) => sum + gzipSync(readFileSync(path)).length, 0),
      assets: files.length,
      assetBytes: files.reduce((sum, bytes) => sum + bytes, 0),
      largestAssetBytes: files.reduce((most, bytes) => Math.max(most, bytes), 0),
    };
    for (const message of beyondLimits(role, bundle)) throw new Error(message);
    return bundle;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function beyondLimits(role: string, { compressedBytes, assets, largestAssetBytes }: Bundle): string[] {
  const found: string[] = [];
  const add = (what: string, value: number, most: number): void => {
    if (value > most) found.push(`The ${role} Worker: ${what} may be at most ${String(most)}; it is ${String(value)}.`);
  };
  add("its compressed bytes", compressedBytes, limits.compressedBytes);
  add("the number of its static assets", assets, limits.assets);
  add("the bytes of one static asset", largestAssetBytes, limits.assetBytes);
  return found;
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
