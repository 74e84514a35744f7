/**
 * The secret that this machine's snapshots are sealed under and its ids are signed with, made once. It lies where wrangler looks for a Worker's local secrets, outside git;
 * in production `wrangler secret put STATE_KEYS` takes its place.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { inRepository } from "./paths.ts";

const keyBytes = 32;
const ownerOnly = 0o600;

export async function ensureStateKeys(path = inRepository("workers/session/.dev.vars")): Promise<void> {
  if (existsSync(path)) return;
  const key = randomBytes(keyBytes).toString("base64");
  // Two stacks may start at once: whoever comes second keeps the first one's key.
  await writeFile(path, `STATE_KEYS=1:${key}\n`, { mode: ownerOnly, flag: "wx" }).catch((cause: unknown) => {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) throw cause;
  });
}
