/** What `npm run pool` writes for one run: a pool that takes this machine's addresses, and a credential that nobody else can read. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { inRepository } from "../../../../infra/local/paths.ts";
import { forReplicas, writePoolFiles } from "../../../../infra/local/pool/configuration.ts";
import { poolConfiguration } from "../../../../infra/local/stack.ts";

test("the pool Worker's own configuration, with this machine's addresses allowed", () => {
  const files = writePoolFiles(1);
  onTestFinished(() => files.remove());
  const own = readFileSync(inRepository(poolConfiguration), "utf8").split("\n");
  const written = readFileSync(inRepository(files.configuration), "utf8").split("\n");
  expect(written).toHaveLength(own.length);
  expect(written.filter((line, at) => line !== own[at])).toEqual(['main = "../../workers/pool/index.ts"', 'POOL_LOOPBACK = "allow"']);
  expect(existsSync(resolve(dirname(inRepository(files.configuration)), "../../workers/pool/index.ts"))).toBe(true);
  // Nowhere but in development.
  expect(own).toContain('POOL_LOOPBACK = ""');
});

test("one credential for pool and replicas, new with every run, that only this user can read", () => {
  const files = writePoolFiles(1);
  const secretsFile = inRepository(files.configuration.replace("wrangler.toml", ".dev.vars"));
  const credential = readFileSync(files.nodeFile, "utf8").trim();
  expect(readFileSync(secretsFile, "utf8")).toBe(`POOL_NODES=${credential}\n`);
  expect(credential).toMatch(/^this-machine:[A-Za-z0-9+/]{43}=$/);
  for (const path of [files.nodeFile, secretsFile]) expect(statSync(path).mode & 0o777).toBe(0o600);
  const again = writePoolFiles(1);
  expect(readFileSync(again.nodeFile, "utf8").trim()).not.toBe(credential);
  again.remove();
  expect(existsSync(files.nodeFile)).toBe(false);
});

test("a configuration that has lost a line which is changed here is named", () => {
  expect(() => forReplicas('main = "index.ts"')).toThrow('workers/pool/wrangler.toml must hold the line POOL_LOOPBACK = ""; it does not.');
});
