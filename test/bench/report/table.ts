/** A record as Markdown, for people. */
import type { BenchRecord } from "./record.ts";
import type { Summary } from "./statistics.ts";

export function recordTable(record: BenchRecord): string {
  const { load, machine, subject } = record;
  const changed = subject.uncommittedFiles === 0 ? "" : ` with ${subject.uncommittedFiles} uncommitted files`;
  return [
    `# \`npm run bench -- ${record.suite}\`, ${record.startedAt.slice(0, 10)}`,
    "",
    `${machine.processor}, ${machine.cores} cores (${machine.vectorExtensions.join(", ")}), ${machine.memoryGibibytes} GiB, ${machine.kernel}; ` +
      `Node ${machine.node} (V8 ${machine.v8}), Rust ${machine.rust}. It took ${record.seconds} s; load ${load.before} before it and ${load.after} at its end.`,
    "",
    `Commit \`${subject.commit.slice(0, 12)}\`${changed}; model ${subject.model.id} (sha256 \`${subject.model.sha256.slice(0, 12)}\`); engine packages ` +
      `relaxed \`${subject.enginePackages.relaxed.slice(0, 12)}\`, simd128 \`${subject.enginePackages.simd128.slice(0, 12)}\`.`,
    "",
    ...record.notes.map((note) => `- ${note}`),
    "",
    "Settings: " +
      Object.entries(record.settings)
        .map(([name, value]) => `${name} ${value}`)
        .join("; ") +
      ".",
    ...floorLines(record),
    ...seriesLines(record),
    "",
  ].join("\n");
}

function floorLines({ floors }: BenchRecord): string[] {
  if (floors.length === 0) return [];
  return [
    "",
    "| floor | required | measured | |",
    "|---|--:|--:|---|",
    ...floors.map(({ name, required, measured, met }) => `| ${name} | ${required} | ${measured} | ${met ? "met" : "missed"} |`),
  ];
}

/** One table a setting; a row is one program's figure, with its comparisons beside it. */
function seriesLines({ series, comparisons }: BenchRecord): string[] {
  const lines: string[] = [];
  for (const setting of new Set(series.map((one) => one.setting))) {
    lines.push("", `## ${setting}`, "", "| figure | program | median (least to most) | round by round |", "|---|---|--:|---|");
    for (const one of series.filter((other) => other.setting === setting)) {
      const beside = comparisons
        .filter((other) => other.setting === setting && other.figure === one.figure && other.program === one.program)
        .map((other) =>
          other.kind === "ratio" ? `${spread(other)} x ${other.baseline}` : `${spread(other)} ${other.unit} over ${other.baseline}`,
        );
      lines.push(`| ${one.figure} | ${one.program} | ${spread(one)} ${one.unit} | ${beside.join("; ")} |`);
    }
  }
  return lines;
}

function spread({ median, minimum, maximum }: Summary): string {
  return `${median} (${minimum} to ${maximum})`;
}
