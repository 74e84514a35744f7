/** Each runner's own count of what passed and failed. A run that counts nothing is not a pass: `settle` turns it into a failure. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** The part of vitest's JSON report that is counted. */
interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

/** Skipped and to-do tests count as failed: nothing here is meant to be skipped. A file that could not be loaded counts once. */
export function countVitest(json: string): Counts {
  const report = JSON.parse(json) as VitestReport;
  const unloaded = report.testResults.filter(({ status, assertionResults }) => status === "failed" && assertionResults.length === 0).length;
  return { passed: report.numPassedTests, failed: report.numFailedTests + report.numPendingTests + report.numTodoTests + unloaded };
}

/** Sums every `test result:` line; ignored tests count as failed. */
export function countCargo(output: string): Counts {
  let passed = 0;
  let failed = 0;
  for (const match of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;/gm)) {
    passed += Number(match[1]);
    failed += Number(match[2]) + Number(match[3]);
  }
  return { passed, failed };
}

/** Reads the last line of a pytest run, such as `2 failed, 5 passed, 1 error in 0.41s`. */
export function countPytest(output: string): Counts {
  const summary = output
    .trimEnd()
    .split("\n")
    .findLast((line) => /\d+ \w+.* in [\d.]+s/.test(line));
  let passed = 0;
  let failed = 0;
  for (const [, count, kind] of (summary ?? "").matchAll(/(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)/g)) {
    if (kind === "passed") passed += Number(count);
    else failed += Number(count);
  }
  return { passed, failed };
}

/** A runner that ended badly without naming a failed test, or that ran nothing, counts as one failure. */
export function settle(counts: Counts, endedWell: boolean): Counts {
  const silent = counts.failed === 0 && (!endedWell || counts.passed === 0);
  return silent ? { ...counts, failed: 1 } : counts;
}

export function sum(all: readonly Counts[]): Counts {
  return { passed: all.reduce((total, { passed }) => total + passed, 0), failed: all.reduce((total, { failed }) => total + failed, 0) };
}
