import { expect, test } from "vitest";
import { compare, SeriesCollector, type Series } from "../bench/report/result.ts";
import { median, pairedDifferences, pairedRatios, rounded, summarize } from "../bench/report/statistics.ts";
import { alternately } from "../bench/alternately.ts";
import { fitLine, timeToFirstToken } from "../bench/long/fit.ts";

test("the median is the middle by size, or half-way between the two middle ones", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([10, 9, 100, 2])).toBe(9.5);
  expect(median([3])).toBe(3);
  expect(summarize([9, 1, 5, 2])).toEqual({ median: 3.5, minimum: 1, maximum: 9 });
});

test("statistics of nothing, or of what is no number, are refused", () => {
  expect(() => median([])).toThrow("at least one value");
  expect(() => summarize([1, NaN])).toThrow("one is NaN");
  expect(() => pairedRatios([1], [Infinity])).toThrow("one is Infinity");
});

test("rounds are compared with their own baseline, not with the average", () => {
  expect(pairedRatios([2, 30], [1, 10])).toEqual([2, 3]);
  expect(pairedDifferences([2, 30], [1, 10])).toEqual([1, 20]);
  expect(() => pairedRatios([1, 2], [1])).toThrow("one side has 2 and the other 1");
  expect(() => pairedRatios([1], [0])).toThrow("other than 0");
});

test("four digits are kept, whatever the size", () => {
  expect([123456, 1.23456, 0.000123456].map(rounded)).toEqual([123500, 1.235, 0.0001235]);
});

test("a comparison says in which unit it is, and only compares what is alike", () => {
  const series = (program: string, values: number[], figure = "latency"): Series => ({
    setting: "alone",
    figure,
    unit: "ms",
    program,
    values,
  });
  expect(compare(series("a", [4]), series("b", [2]), "ratio")).toMatchObject({ program: "a", baseline: "b", unit: "x", values: [2] });
  expect(compare(series("a", [5]), series("b", [2]), "difference")).toMatchObject({ unit: "ms", values: [3] });
  expect(() => compare(series("a", [1]), series("b", [1], "throughput"), "ratio")).toThrow('"alone, throughput"');
});

test("a collector keeps the rounds of each program in order", () => {
  const collector = new SeriesCollector();
  for (const value of [1, 2]) for (const program of ["a", "b"]) collector.add("alone", "latency", "ms", program, value);
  expect(collector.all().map(({ program, values }) => [program, values])).toEqual([
    ["a", [1, 2]],
    ["b", [1, 2]],
  ]);
  expect(collector.find("alone", "latency", "c")).toBeUndefined();
});

test("who goes first changes every round", () => {
  expect([0, 1, 2].map((round) => alternately(["a", "b", "c"], round).join(""))).toEqual(["abc", "cba", "abc"]);
});

test("a token's time is fitted by a line over what lies before it, and summed over a text", () => {
  const points = [0, 10, 1000].map((x) => ({ x, y: 2 + 3 * x }));
  const line = fitLine(points);
  expect(line.at).toBeCloseTo(2, 9);
  expect(line.slope).toBeCloseTo(3, 9);
  expect(timeToFirstToken({ at: 2, slope: 3 }, 10)).toBe(170);
  expect(fitLine([...points, { x: 1000, y: 3302 }]).at).toBeCloseTo(2, 1);
});
