import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";
import { machineFacts } from "../bench/report/machine.ts";
import { makeRecord, writeRecord, type Circumstances } from "../bench/report/record.ts";
import type { SuiteResult } from "../bench/report/result.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const circumstances: Circumstances = {
  suite: "engine",
  startedAt: new Date("2026-11-30T23:59:59Z"),
  seconds: 12.4,
  load: { before: 0.1, after: 1.2 },
  machine: machineFacts(),
  subject: {
    commit: "c".repeat(40),
    uncommittedFiles: 2,
    enginePackages: { relaxed: "a".repeat(64), simd128: "b".repeat(64) },
    model: { id: "tiny", sha256: "d".repeat(64), bytes: 10 },
  },
};

const result: SuiteResult = {
  settings: { rounds: 3 },
  notes: ["A note."],
  series: [
    { setting: "128 tokens", figure: "decode", unit: "tokens/s", program: "ours", values: [30.00004, 10, 20] },
    { setting: "128 tokens", figure: "decode", unit: "tokens/s", program: "theirs", values: [60, 40, 10] },
  ],
  comparisons: [
    { setting: "128 tokens", figure: "decode", program: "ours", baseline: "theirs", kind: "ratio", unit: "x", values: [0.5, 0.25, 2] },
  ],
  floors: [
    { name: "reached", required: 0.5, measured: 0.5 },
    { name: "not reached", required: 0.5, measured: 0.49999 },
  ],
};

test("a record holds every round, its summary, and whether the floors hold before they are rounded", () => {
  const record = makeRecord(circumstances, result);
  expect(record.startedAt).toBe("2026-11-30T23:59:59.000Z");
  expect(record.series[0]).toEqual({ ...result.series[0], values: [30, 10, 20], median: 20, minimum: 10, maximum: 30 });
  expect(record.comparisons[0]).toMatchObject({ median: 0.5, minimum: 0.25, maximum: 2 });
  expect(record.floors).toEqual([
    { name: "reached", required: 0.5, measured: 0.5, met: true },
    { name: "not reached", required: 0.5, measured: 0.5, met: false },
  ]);
});

test("it is kept as JSON and as a table under its day and suite", () => {
  const record = makeRecord(circumstances, result);
  const [json, table] = writeRecord(record, temporaryDirectory());
  expect([json, table].map((path) => basename(path))).toEqual(["2026-11-30-engine.json", "2026-11-30-engine.md"]);
  expect(JSON.parse(readFileSync(json, "utf8"))).toEqual(record);
  const lines = readFileSync(table, "utf8").split("\n");
  expect(lines).toContain("| decode | ours | 20 (10 to 30) tokens/s | 0.5 (0.25 to 2) x theirs |");
  expect(lines).toContain("| decode | theirs | 40 (10 to 60) tokens/s |  |");
  expect(lines).toContain("| not reached | 0.5 | 0.5 | missed |");
  expect(lines.find((line) => line.startsWith("Commit"))).toContain(`\`${"c".repeat(12)}\` with 2 uncommitted files`);
});

test("the machine is described and never named", () => {
  const facts = machineFacts();
  expect(facts.cores).toBeGreaterThan(0);
  expect(facts.node).toBe(process.versions.node);
  expect(facts.kernel).toMatch(/^\w+ [\d.]+$/);
  expect(facts.rust).toMatch(/^\d+\.\d+/);
});
