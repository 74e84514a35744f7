/** The pool Worker's configuration where replicas of this machine may register, with a node's credential made for this run. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { inRepository } from "../paths.ts";
import { poolConfiguration } from "../stack.ts";

export interface PoolFiles {
  /** For wrangler, from the repository's root. */
  readonly configuration: string;
  /** The node's credential, for replicas. */
  readonly nodeFile: string;
  remove(): void;
}

const secretBytes = 32;
const ownerOnly = 0o600;

/** Lines of the original, and what they are in `dist/pool-PORT`. */
const edits = [
  ['main = "index.ts"', 'main = "../../workers/pool/index.ts"'],
  ['POOL_LOOPBACK = ""', 'POOL_LOOPBACK = "allow"'],
] as const;

/** `port`: the stack's, which nobody else has. */
export function writePoolFiles(port: number): PoolFiles {
  const folder = `dist/pool-${String(port)}`;
  const path = (name: string): string => inRepository(folder, name);
  const remove = (): void => {
    rmSync(inRepository(folder), { recursive: true, force: true });
  };
  remove();
  mkdirSync(inRepository(folder), { recursive: true });
  const credential = `this-machine:${randomBytes(secretBytes).toString("base64")}`;
  writeFileSync(path("wrangler.toml"), forReplicas(readFileSync(inRepository(poolConfiguration), "utf8")));
  // Where wrangler looks for a Worker's secrets.
  writeFileSync(path(".dev.vars"), `POOL_NODES=${credential}\n`, { mode: ownerOnly });
  writeFileSync(path("node"), `${credential}\n`, { mode: ownerOnly });
  return { configuration: `${folder}/wrangler.toml`, nodeFile: path("node"), remove };
}

export function forReplicas(toml: string): string {
  return edits.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`${poolConfiguration} must hold the line ${from}; it does not.`);
    return text.replace(from, to);
  }, toml);
}
