/** What a suite measured, before it is summarized. */
import { pairedDifferences, pairedRatios } from "./statistics.ts";

/** One program's values of one figure, one a round, in the order measured. */
export interface Series {
  /** What was done, such as `128 tokens of context`. */
  readonly setting: string;
  /** What is counted, such as `decode`. */
  readonly figure: string;
  readonly unit: string;
  /** Who did it. */
  readonly program: string;
  readonly values: readonly number[];
}

export interface Comparison {
  readonly setting: string;
  readonly figure: string;
  readonly program: string;
  readonly baseline: string;
  /** `ratio` is program / baseline, `difference` is program - baseline in the series' unit. */
  readonly kind: "ratio" | "difference";
  readonly unit: string;
  readonly values: readonly number[];
}

/** A promise about a comparison's median. */
export interface Floor {
  readonly name: string;
  readonly required: number;
  readonly measured: number;
}

export interface SuiteResult {
  /** How it was run; whoever repeats it needs these. */
  readonly settings: Readonly<Record<string, string | number>>;
  /** What the figures mean and do not mean. */
  readonly notes: readonly string[];
  readonly series: readonly Series[];
  readonly comparisons: readonly Comparison[];
  readonly floors: readonly Floor[];
}

export function compare(program: Series, baseline: Series, kind: Comparison["kind"]): Comparison {
  if (program.setting !== baseline.setting || program.figure !== baseline.figure || program.unit !== baseline.unit) {
    throw new Error(`"${program.setting}, ${program.figure}" cannot be compared with "${baseline.setting}, ${baseline.figure}".`);
  }
  const paired = kind === "ratio" ? pairedRatios : pairedDifferences;
  return {
    setting: program.setting,
    figure: program.figure,
    program: program.program,
    baseline: baseline.program,
    kind,
    unit: kind === "ratio" ? "x" : program.unit,
    values: paired(program.values, baseline.values),
  };
}

/** Gathers values by setting, figure and program while rounds run. */
export class SeriesCollector {
  readonly #series = new Map<string, Series & { readonly values: number[] }>();

  add(setting: string, figure: string, unit: string, program: string, value: number): void {
    const key = [setting, figure, program].join("\n");
    const series = this.#series.get(key) ?? { setting, figure, unit, program, values: [] };
    series.values.push(value);
    this.#series.set(key, series);
  }

  all(): Series[] {
    return [...this.#series.values()];
  }

  /** Undefined where that program did not take part. */
  find(setting: string, figure: string, program: string): Series | undefined {
    return this.#series.get([setting, figure, program].join("\n"));
  }
}
