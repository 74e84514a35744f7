/** `npm start` ends at once, with one line that names the variable, where a variable can't be what it is. */
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inRepository } from "../../../infra/local/paths.ts";
import { startSettings } from "../../../infra/local/settings.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const models =
  "qwen2.5-coder-0.5b, smollm2-135m, spikingbrain-135m-spiking, spikingbrain-135m, spikingbrain-coder-0.5b-spiking, spikingbrain-coder-0.5b";

describe("startSettings", () => {
  it.each([
    [{}, 8787, undefined],
    [{ PORT: "", SPIKES: "", API_KEYS: "", SPIKINGBRAIN_MODEL: "", SPIKINGBRAIN_MODEL_ID: "" }, 8787, undefined],
    [{ PORT: "9000", SPIKES: "paper", API_KEYS: "a, b", SPIKINGBRAIN_MODEL: "smollm2-135m" }, 9000, "paper"],
    [{ PORT: "1" }, 1, undefined],
    [{ PORT: "65535", SPIKES: "off" }, 65535, "off"],
  ])("reads %j", (environment, port, spikes) => {
    expect(startSettings({ SPIKINGBRAIN_CACHE: temporaryDirectory(), ...environment })).toEqual({ port, spikes });
  });

  const portRule = "PORT must be an integer from 1 to 65535; it is";
  const modelRule = `SPIKINGBRAIN_MODEL must be the path of a GGUF or one of ${models};`;
  it.each([
    ...["abc", "0", "-1", "65536", "70000", "80.5", "8e3", "0x50", " 80", "80 ", "８０", "99999999999999999999", "NaN"].map(
      (value) => [{ PORT: value }, `${portRule} "${value}".`] as const,
    ),
    ...["some", "Paper", "off,paper", " off", "true"].map(
      (value) => [{ SPIKES: value }, `SPIKES must be one of off, paper, released; it is "${value}".`] as const,
    ),
    ...[",", " ", " , ,"].map(
      (value) => [{ API_KEYS: value }, `API_KEYS must hold at least one key that is not blank, or not be set; it is "${value}".`] as const,
    ),
    [{ SPIKINGBRAIN_MODEL: "gpt-4" }, `${modelRule} "gpt-4" is not there.`],
    [{ SPIKINGBRAIN_MODEL: "infra" }, `${modelRule} "infra" is a directory.`],
    [{ SPIKINGBRAIN_MODEL: "package.json" }, `${modelRule} "package.json" does not begin with "GGUF".`],
    [{ SPIKINGBRAIN_MODEL: "/dev/null" }, `${modelRule} "/dev/null" is not a file.`],
    [
      { SPIKINGBRAIN_MODEL_ID: "mine" },
      'SPIKINGBRAIN_MODEL_ID names a file of your own, and SPIKINGBRAIN_MODEL is not a file\'s path; it is "mine".',
    ],
    [
      { SPIKINGBRAIN_MODEL: "x.gguf", SPIKINGBRAIN_MODEL_ID: "a b" },
      'SPIKINGBRAIN_MODEL_ID must be 1 to 200 letters, digits or the characters . _ : / -; it is "a b".',
    ],
  ] as const)("refuses %j", (environment, message) => {
    expect(() => startSettings({ SPIKINGBRAIN_CACHE: temporaryDirectory(), ...environment })).toThrow(
      expect.objectContaining({ message }) as Error,
    );
  });

  it("makes the cache's directory, with those above it, also by a relative path and behind a link", () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, "real"));
    symlinkSync(join(directory, "real"), join(directory, "link"));
    for (const value of [join(directory, "a/b/c"), join(directory, "link/x"), "dist/../dist"])
      expect(() => startSettings({ SPIKINGBRAIN_CACHE: value })).not.toThrow();
  });

  it("refuses a cache that nothing can be written to", () => {
    const directory = temporaryDirectory();
    const file = join(directory, "file");
    writeFileSync(file, "");
    symlinkSync(join(directory, "nowhere"), join(directory, "dangling"));
    const rule = "SPIKINGBRAIN_CACHE must be a directory that can be written to; it is";
    for (const [cache, why] of [
      ["/proc/x", "where nothing can be written (ENOENT)"],
      ["/proc/1/x/y", "where nothing can be written"],
      ["/proc", "where nothing can be written"],
      ["/dev/null", "where /dev/null is not a directory"],
      [file, `where ${file} is not a directory`],
      [join(file, "below"), `where ${file} is not a directory`],
      [join(directory, "dangling"), "where nothing can be written"],
      ["package.json", `where ${inRepository("package.json")} is not a directory`],
    ] as const)
      expect(() => startSettings({ SPIKINGBRAIN_CACHE: cache })).toThrow(`${rule} "${cache}", ${why}`);
  });
});

describe("npm start", () => {
  it.each([
    ["PORT", "abc"],
    ["SPIKES", "some"],
    ["API_KEYS", ","],
    ["SPIKINGBRAIN_MODEL", "package.json"],
    ["SPIKINGBRAIN_MODEL_ID", "mine"],
    ["SPIKINGBRAIN_CACHE", "/proc/x"],
    ["PYTHON", "/nowhere/python"],
    ["PYTHON", "/bin/echo"],
  ])("%s=%s: one line, and a status that is not 0", (name, value) => {
    const environment = { ...process.env, PORT: "18080", SPIKINGBRAIN_MODEL: "", SPIKINGBRAIN_MODEL_ID: "", [name]: value };
    const { status, stdout, stderr } = spawnSync(process.execPath, [inRepository("infra/local/start.ts")], {
      cwd: inRepository(),
      env: environment,
      encoding: "utf8",
      timeout: 30_000,
    });
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toContain(name);
    expect(stderr).toContain(value);
  });
});
