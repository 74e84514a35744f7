/** Threads in the browser: how many there are, and that each is given every byte of the weights in memory that all share. */
import { describe, expect, it } from "vitest";
import type { RankOrder } from "../../../workers/page/device/ranks/messages.ts";
import type { EnginePackage } from "../../../workers/page/device/package.ts";
import { RankedLoader } from "../../../workers/page/device/ranks/ranked-loader.ts";
import { threadsHere } from "../../../workers/page/device/ranks/ranks.ts";
import { goldenFile, refusal, relaxedPackage } from "../../wasm/packages.ts";

describe("threads in the browser", () => {
  it("are as many as there are cores, four at the most, and one where memory can't be shared", () => {
    const isolated = { crossOriginIsolated: true, Worker: () => undefined, SharedArrayBuffer };
    const of = (hardwareConcurrency: number, given: object = {}) =>
      threadsHere({ ...isolated, navigator: { hardwareConcurrency }, ...given });
    expect([1, 2, 4, 16].map((cores) => of(cores))).toEqual([1, 2, 4, 4]);
    expect(of(8, { crossOriginIsolated: false })).toBe(1);
    // Older browsers: no Worker within a Worker, no shared memory at all, none that grows.
    for (const given of [{ Worker: undefined }, { SharedArrayBuffer: undefined }, { SharedArrayBuffer: { prototype: {} } }])
      expect(of(8, given)).toBe(1);
  });

  it("are given the whole file, once its header has said how much they exchange", () => {
    const { loader, orders, ended } = loaderOverThree();
    const file = goldenFile("alternating-q4_0.gguf");
    for (let at = 0; at < file.length; at += 4_099) loader.push(file.subarray(at, at + 4_099));
    for (const [index, own] of orders.entries()) {
      const [begin, ...pushed] = own;
      expect(begin).toMatchObject({ type: "begin", options: { rank: index + 1, ranks: 3, kvType: "int8" } });
      const bytes = pushed.flatMap((order) => (order.type === "push" ? [...order.chunk] : []));
      expect(Buffer.from(bytes).equals(file)).toBe(true);
      expect(pushed.every((order) => order.type === "push" && order.chunk.buffer instanceof SharedArrayBuffer)).toBe(true);
    }
    expect(loader.neededFrom()).toBe(0);
    loader.free();
    expect(ended()).toBe(true);
  });

  it("do not begin with what is no model", () => {
    const { loader, orders } = loaderOverThree();
    loader.push(goldenFile("alternating-q4_0.gguf").subarray(0, 100));
    expect(refusal(() => loader.finish()).message).toContain("the file ends after 100 bytes, within its header");
    expect(orders).toEqual([[], []]);
    expect(refusal(() => loaderOverThree().loader.push(Uint8Array.from([1, 2, 3, 4, 5]))).code).toBe("invalid_gguf");
  });
});

function loaderOverThree() {
  const orders: [RankOrder[], RankOrder[]] = [[], []];
  let isEnded = false;
  const built: EnginePackage = {
    module: {},
    createLoader: (options) => new relaxedPackage.ModelLoader(JSON.stringify(options)),
    createRankLoader: (options, exchange) => new relaxedPackage.ModelLoader(JSON.stringify(options), exchange),
    createInspector: () => new relaxedPackage.ModelInspector(),
    buffer: () => new ArrayBuffer(0),
  };
  const ranks = {
    count: 2,
    tell: (order: (rank: number) => RankOrder) => {
      for (const [index, own] of orders.entries()) own.push(order(index + 1));
    },
    end: () => void (isEnded = true),
  };
  return { loader: new RankedLoader(built, { kvType: "int8", memoryLimitBytes: 2 ** 27 }, ranks), orders, ended: () => isEnded };
}
