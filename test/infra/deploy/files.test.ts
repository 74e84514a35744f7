/** What an operator writes: the command line, the settings and the secrets. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { deployOptions } from "../../../infra/deploy/options.ts";
import { readSecrets } from "../../../infra/deploy/secrets.ts";
import { deploySettings } from "../../../infra/deploy/settings-file.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const known = new Map([
  ["gateway", new Set(["API_KEYS", "CORS_ORIGINS"])],
  ["pool", new Set(["POOL_HOSTS", "POOL_NODES"])],
]);

function fileWith(text: string, mode = 0o600): string {
  const path = join(temporaryDirectory(), "file");
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe("the command line", () => {
  it("has a default for everything", () => {
    expect(deployOptions([])).toEqual({ dryRun: false, rollback: false, settings: undefined, secrets: undefined });
    expect(deployOptions(["--dry-run", "--settings", "a", "--secrets", "b"])).toEqual({
      ...{ dryRun: true, rollback: false, settings: "a", secrets: "b" },
    });
  });

  it.each([
    [["--force"], "--force"],
    [["now"], "now"],
    [["--settings"], "--settings"],
    [["--dry-run", "--rollback"], "exclude one another"],
  ])("refuses %s by name, and says how it is used", (args, name) => {
    expect(() => deployOptions(args)).toThrow(name);
    expect(() => deployOptions(args)).toThrow("Usage: npm run deploy");
  });
});

describe("settings", () => {
  it("may be left out, as a whole and each", () => {
    const unset = { name: "spikingbrain", open: false, variables: {} };
    expect(deploySettings(undefined, known)).toEqual(unset);
    expect(deploySettings(fileWith("{}"), known)).toEqual(unset);
  });

  it("are taken as they are written", () => {
    const all = {
      name: "chat-staging",
      domain: "api.example.org",
      open: true,
      variables: { pool: { POOL_HOSTS: "*.pool.example.org" } },
      poolNetwork: { tunnel_id: "f3c8" },
    };
    expect(deploySettings(fileWith(JSON.stringify(all)), known)).toEqual(all);
  });

  it.each([
    ["no JSON", "{", "must be JSON"],
    ["an unknown field", '{"nmae": "x"}', "nmae"],
    ["a name that is none", '{"name": "A_b"}', "'name': must be 1 to 40 small letters"],
    ["an address for a host", '{"domain": "https://example.org"}', "'domain': must be a host"],
    ["a Worker that is none", '{"variables": {"gate": {}}}', "'variables.gate': must be one of gateway, pool"],
    [
      "a variable that is none",
      '{"variables": {"pool": {"POOL_HOST": ""}}}',
      "'variables.pool.POOL_HOST': the pool Worker has no such variable",
    ],
    ["a secret", '{"variables": {"gateway": {"API_KEYS": "sk-1"}}}', "'variables.gateway.API_KEYS': is a secret"],
    ["two networks", '{"poolNetwork": {"tunnel_id": "a", "network_id": "b"}}', "'poolNetwork'"],
  ])("with %s are refused by name", (_name, text, message) => {
    expect(() => deploySettings(fileWith(text), known)).toThrow(message);
  });

  it("that are not there are named", () => {
    expect(() => deploySettings("/nowhere/settings.json", known)).toThrow("/nowhere/settings.json cannot be read (ENOENT).");
  });
});

describe("secrets", () => {
  it("are lines of a file that is its owner's alone", () => {
    const path = fileWith("# of production\nAPI_KEYS=sk-1,sk-2\n\nSTATE_KEYS = 1:abc=\r\n");
    expect([...readSecrets(path)]).toEqual([
      ["API_KEYS", "sk-1,sk-2"],
      ["STATE_KEYS", "1:abc="],
    ]);
    expect(readSecrets(undefined).size).toBe(0);
  });

  it.each([0o640, 0o604, 0o644])("that others may read (%o) are refused, with what mends it", (mode) => {
    const path = fileWith("API_KEYS=sk-1\n", mode);
    expect(() => readSecrets(path)).toThrow(`chmod 600 ${path}`);
  });

  it.each([
    [
      "an unknown name",
      "API_KEYS=sk-secret\nAPI_KEY=sk-secret",
      "line 2: must be NAME=VALUE, and the name one of API_KEYS, ADMIN_KEYS, STATE_KEYS",
    ],
    ["no name", "sk-secret", "line 1: must be NAME=VALUE"],
    ["a name twice", "API_KEYS=sk-secret\nAPI_KEYS=sk-secret", "line 2: API_KEYS must stand there once"],
  ])("with %s are refused by line, and none is told", (_name, text, message) => {
    const read = () => readSecrets(fileWith(text));
    expect(read).toThrow(message);
    expect(read).not.toThrow("sk-secret");
  });
});
