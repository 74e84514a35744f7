/** Uploads the Workers one after another, those first that others are bound to, and takes them back in the other order. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Unstable_RawConfig } from "wrangler";
import { inRepository } from "../local/paths.ts";
import type { Secrets } from "./secrets.ts";
import type { Wrangler } from "./wrangler.ts";

export interface Release {
  readonly role: string;
  /** Under which it is deployed. */
  readonly name: string;
  readonly configuration: Unstable_RawConfig;
  readonly secrets: Secrets;
}

export interface Released {
  readonly role: string;
  readonly version: string;
  /** Addresses where the public reaches it. */
  readonly targets: readonly string[];
}

const ownerOnly = 0o600;

/** Where wrangler reads it; it holds no secret. */
export function writeConfiguration({ role, configuration }: Pick<Release, "role" | "configuration">): string {
  const folder = inRepository("dist/deploy");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${role}.json`);
  writeFileSync(path, `${JSON.stringify(configuration, null, 2)}\n`);
  return path;
}

/** @throws Error that says which are deployed, which are not, and what to do, with wrangler's own words above it. */
export async function releaseAll(run: Wrangler, releases: readonly Release[], log: (line: string) => void): Promise<Released[]> {
  const done: Released[] = [];
  for (const release of releases) {
    log(`\n${release.name} …`);
    const released = await releaseOne(run, release);
    if (released === undefined) throw new Error(halfDone(releases, done));
    done.push(released);
  }
  return done;
}

/** Undefined where wrangler failed. Secrets go through a file of the owner's alone that is gone afterwards. */
async function releaseOne(run: Wrangler, release: Release): Promise<Released | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "spikingbrain-deploy-"));
  const [secretsFile, report] = [join(folder, "secrets.json"), join(folder, "report.ndjson")];
  try {
    const args = ["deploy", "-c", writeConfiguration(release)];
    if (release.secrets.size > 0) {
      writeFileSync(secretsFile, JSON.stringify(Object.fromEntries(release.secrets)), { mode: ownerOnly });
      args.push("--secrets-file", secretsFile);
    }
    const { status } = await run(args, { show: true, environment: { WRANGLER_OUTPUT_FILE_PATH: report } });
    return status === 0 ? { role: release.role, ...readReport(report) } : undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** wrangler writes a line of JSON for each thing that it did. */
function readReport(path: string): { readonly version: string; readonly targets: readonly string[] } {
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  const deploy = lines
    .map(
      (line) => JSON.parse(line) as { readonly type?: string; readonly version_id?: string | null; readonly targets?: readonly string[] },
    )
    .findLast(({ type }) => type === "deploy");
  return { version: deploy?.version_id ?? "", targets: deploy?.targets ?? [] };
}

function halfDone(releases: readonly Release[], done: readonly Released[]): string {
  const names = (some: readonly { readonly role: string }[]) => (some.length === 0 ? "none" : some.map(({ role }) => role).join(", "));
  const rest = releases.slice(done.length);
  return (
    `The ${rest[0]?.role ?? ""} Worker was not deployed; wrangler's reason is above. Deployed: ${names(done)}; not deployed: ${names(rest)}. ` +
    "Run the same again once it is mended: what is there already is left as it is or replaced. `npm run deploy -- --rollback` goes back to the versions before."
  );
}

/** Each Worker back to its version before, those first that are bound to others. @throws Error that names those that could not be. */
export async function rollBack(run: Wrangler, names: readonly string[], log: (line: string) => void): Promise<void> {
  const failed: string[] = [];
  for (const name of names.toReversed()) {
    log(`\n${name} …`);
    const { status } = await run(["rollback", "--name", name, "--yes", "--message", "npm run deploy -- --rollback"], { show: true });
    if (status !== 0) failed.push(name);
  }
  if (failed.length > 0) throw new Error(`Not rolled back: ${failed.join(", ")}; wrangler's reasons are above.`);
}
