import { describe, expect, it } from "vitest";
import type { EngineLoad } from "../../../workers/contracts/engine.ts";
import { byLoad, candidates } from "../../../workers/engine/pick.ts";

const idle: EngineLoad = { loaded: true, running: 0, waiting: 0, freeStateBytes: 100, generatedTokens: 0 };

describe("byLoad", () => {
  it.each<[name: string, loads: (EngineLoad | undefined)[], order: number[]]>([
    ["one object", [idle], [0]],
    ["equal objects keep their order", [idle, idle], [0, 1]],
    [
      "the shortest queue first",
      [
        { ...idle, waiting: 2 },
        { ...idle, waiting: 1, running: 9 },
      ],
      [1, 0],
    ],
    [
      "then the fewest running",
      [
        { ...idle, running: 2 },
        { ...idle, running: 1, loaded: false },
      ],
      [1, 0],
    ],
    ["then weights in memory", [{ ...idle, loaded: false, freeStateBytes: 900 }, idle], [1, 0]],
    ["then the most room", [idle, { ...idle, freeStateBytes: 101 }], [1, 0]],
    ["one that does not answer last", [undefined, { ...idle, waiting: 99 }], [1, 0]],
    ["none that answers", [undefined, undefined], [0, 1]],
  ])("%s", (_, loads, order) => {
    expect(byLoad(loads)).toEqual(order);
  });
});

describe("candidates", () => {
  it.each<[objects: number, numbers: number[], picked: number[]]>([
    [1, [0.9], [0]],
    [2, [0, 0], [0, 1]],
    [2, [0.99, 0.99], [1, 0]],
    [4, [0.5, 0.5], [2, 1]],
    [4, [0.5, 0.99], [2, 3]],
  ])("of %i objects with the numbers %j: %j", (objects, numbers, picked) => {
    const rest = [...numbers];
    expect(candidates(objects, () => rest.shift() ?? 0)).toEqual(picked);
  });

  it("reaches every pair of different objects", () => {
    const pairs = new Set<string>();
    for (let first = 0; first < 1; first += 0.05) {
      for (let second = 0; second < 1; second += 0.05) {
        const numbers = [first, second];
        const [left, right] = candidates(5, () => numbers.shift() ?? 0);
        expect(left).not.toBe(right);
        pairs.add(`${String(left)} ${String(right)}`);
      }
    }
    expect(pairs.size).toBe(5 * 4);
  });
});
