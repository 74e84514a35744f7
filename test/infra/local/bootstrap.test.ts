import { createHash } from "node:crypto";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dependenciesAreCurrent, nodeIsRecentEnough } from "../../../infra/local/bootstrap.mjs";
import { temporaryDirectory } from "../support/temporary-directory.ts";

function checkout(): string {
  const root = temporaryDirectory();
  mkdirSync(join(root, "node_modules"));
  writeFileSync(join(root, "package-lock.json"), "{}");
  return root;
}

function setAge(path: string, secondsAgo: number): void {
  const time = Date.now() / 1000 - secondsAgo;
  utimesSync(path, time, time);
}

describe("dependenciesAreCurrent", () => {
  it("is false before anything is installed", () => {
    expect(dependenciesAreCurrent(checkout())).toBe(false);
  });

  it("compares ages where no stamp was left", () => {
    const root = checkout();
    const record = join(root, "node_modules/.package-lock.json");
    writeFileSync(record, "{}");
    setAge(join(root, "package-lock.json"), 100);
    expect(dependenciesAreCurrent(root)).toBe(true);
    setAge(record, 200);
    expect(dependenciesAreCurrent(root)).toBe(false);
  });

  it("goes by the lock's content where a stamp was left", () => {
    const root = checkout();
    const record = join(root, "node_modules/.package-lock.json");
    writeFileSync(record, "{}");
    setAge(record, 200);
    writeFileSync(join(root, "node_modules/.package-lock.sha256"), createHash("sha256").update("{}").digest("hex"));
    expect(dependenciesAreCurrent(root)).toBe(true);
    writeFileSync(join(root, "package-lock.json"), "{ }");
    expect(dependenciesAreCurrent(root)).toBe(false);
  });
});

describe("nodeIsRecentEnough", () => {
  it.each([
    ["20.20.2", false],
    ["25.9.0", false],
    ["26.0.0", true],
    ["28.1.0", true],
  ])("%s: %j", (version, expected) => {
    expect(nodeIsRecentEnough(version)).toBe(expected);
  });
});
