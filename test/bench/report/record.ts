/** A suite's result with where it comes from, as it is kept under `records/` and printed on the last line. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MachineFacts, SubjectFacts } from "./machine.ts";
import type { Comparison, Floor, Series, SuiteResult } from "./result.ts";
import { rounded, summarize, type Summary } from "./statistics.ts";
import { recordTable } from "./table.ts";

type Summarized<T extends { readonly values: readonly number[] }> = T & Summary;

export interface BenchRecord {
  readonly suite: string;
  /** Start of the run, ISO 8601, UTC. */
  readonly startedAt: string;
  readonly seconds: number;
  /** Programs that wanted a core in the minute before the run, and in its last one; what the run itself does not explain disturbed it. */
  readonly load: { readonly before: number; readonly after: number };
  readonly machine: MachineFacts;
  readonly subject: SubjectFacts;
  readonly settings: SuiteResult["settings"];
  readonly notes: readonly string[];
  readonly series: readonly Summarized<Series>[];
  readonly comparisons: readonly Summarized<Comparison>[];
  readonly floors: readonly (Floor & { readonly met: boolean })[];
}

export interface Circumstances extends Pick<BenchRecord, "suite" | "seconds" | "load" | "machine" | "subject"> {
  readonly startedAt: Date;
}

export function makeRecord(circumstances: Circumstances, result: SuiteResult): BenchRecord {
  const { suite, startedAt, seconds, load, machine, subject } = circumstances;
  return {
    suite,
    startedAt: startedAt.toISOString(),
    seconds: Math.round(seconds),
    load,
    machine,
    subject,
    settings: result.settings,
    notes: result.notes,
    series: result.series.map(summarized),
    comparisons: result.comparisons.map(summarized),
    floors: result.floors.map((floor) => ({ ...floor, measured: rounded(floor.measured), met: floor.measured >= floor.required })),
  };
}

/** Writes `<day>-<suite>.json` and, for people, `.md` beside it. A later run of the same day takes the place of an earlier one. */
export function writeRecord(record: BenchRecord, directory: string): readonly [json: string, table: string] {
  mkdirSync(directory, { recursive: true });
  const base = join(directory, `${record.startedAt.slice(0, 10)}-${record.suite}`);
  writeFileSync(`${base}.json`, `${JSON.stringify(record, null, 1)}\n`);
  writeFileSync(`${base}.md`, recordTable(record));
  return [`${base}.json`, `${base}.md`];
}

function summarized<T extends { readonly values: readonly number[] }>(part: T): Summarized<T> {
  const { median, minimum, maximum } = summarize(part.values);
  return {
    ...part,
    values: part.values.map(rounded),
    median: rounded(median),
    minimum: rounded(minimum),
    maximum: rounded(maximum),
  };
}
