import { describe, expect, it } from "vitest";
import { countCargo, countPytest, countVitest, settle, sum } from "../runner/counts.ts";

const vitestReport = { numPassedTests: 3, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] as object[] };

describe("counts", () => {
  it("reads vitest's report, skipped tests and unloadable files as failures", () => {
    expect(countVitest(JSON.stringify(vitestReport))).toEqual({ passed: 3, failed: 0 });
    expect(countVitest(JSON.stringify({ ...vitestReport, numFailedTests: 1, numPendingTests: 2 }))).toEqual({ passed: 3, failed: 3 });
    const unloadable = { ...vitestReport, testResults: [{ status: "failed", assertionResults: [] }] };
    expect(countVitest(JSON.stringify(unloadable))).toEqual({ passed: 3, failed: 1 });
  });

  it("sums cargo's result lines", () => {
    const output = [
      "running 2 tests",
      "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
      "test result: FAILED. 5 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
    ].join("\n");
    expect(countCargo(output)).toEqual({ passed: 7, failed: 2 });
  });

  it.each([
    ["12 passed in 0.41s", { passed: 12, failed: 0 }],
    ["=== 2 failed, 5 passed, 1 skipped, 1 error in 61.20s (0:01:01) ===", { passed: 5, failed: 4 }],
    [
      "FAILED b_test.py::test_b - worker 'gw0' crashed while running 'b_test.py:...\n1 failed, 2 passed in 11.09s",
      { passed: 2, failed: 1 },
    ],
    ["no tests ran in 0.01s", { passed: 0, failed: 0 }],
    ["", { passed: 0, failed: 0 }],
  ])("reads pytest's %j", (output, counts) => {
    expect(countPytest(`tests/test_a.py ..F\n${output}\n`)).toEqual(counts);
  });

  it("calls a run that counts nothing, or ends badly in silence, a failure", () => {
    expect(settle({ passed: 0, failed: 0 }, true)).toEqual({ passed: 0, failed: 1 });
    expect(settle({ passed: 4, failed: 0 }, false)).toEqual({ passed: 4, failed: 1 });
    expect(settle({ passed: 4, failed: 2 }, false)).toEqual({ passed: 4, failed: 2 });
    const crashed = "[gw1] node down: Not properly terminated\n[gw0] node down: Not properly terminated\n\nno tests ran in 6.73s\n";
    expect(settle(countPytest(crashed), false)).toEqual({ passed: 0, failed: 1 });
    expect(settle({ passed: 4, failed: 0 }, true)).toEqual({ passed: 4, failed: 0 });
  });

  it("sums", () => {
    expect(
      sum([
        { passed: 1, failed: 0 },
        { passed: 2, failed: 3 },
      ]),
    ).toEqual({ passed: 3, failed: 3 });
  });
});
