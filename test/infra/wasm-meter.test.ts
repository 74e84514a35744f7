/** A module whose work is counted ends when what it was given is used up, and computes what it did before. */
import { expect, test } from "vitest";
import { metered } from "../../infra/wasm-meter.ts";

interface Counted {
  readonly work: { value: number };
  readonly sum: (to: number) => number;
  readonly forever: () => void;
}

/** `sum` adds 1 to n in a loop; `forever` calls itself. */
const module = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 9, 2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0],
  ...[3, 3, 2, 0, 1],
  ...[6, 6, 1, 0x7f, 1, 0x41, 0, 0x0b],
  ...[7, 17, 2, 3, 0x73, 0x75, 0x6d, 0, 0, 7, 0x66, 0x6f, 0x72, 0x65, 0x76, 0x65, 0x72, 0, 1],
  ...[10, 34, 2],
  ...[25, 1, 1, 0x7f, 0x03, 0x40, 0x20, 0, 0x20, 1, 0x6a, 0x21, 1, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x20, 1, 0x0b],
  ...[6, 0, 0x10, 1, 0x01, 0x01, 0x0b],
);

const { Module, Instance } = (
  globalThis as unknown as {
    readonly WebAssembly: {
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object) => { readonly exports: unknown };
    };
  }
).WebAssembly;

test("loops and calls are counted, and trap where nothing is left", () => {
  const { work, sum, forever } = new Instance(new Module(metered(module))).exports as Counted;
  work.value = 1000;
  expect([sum(100), work.value]).toEqual([5050, 900]);
  work.value = 99;
  expect(() => sum(100)).toThrow(/unreachable/);
  expect(work.value).toBe(0);
  work.value = 50;
  expect(() => {
    forever();
  }).toThrow(/unreachable/);
  expect(work.value).toBe(0);
});

test("what is not a whole module is refused", () => {
  expect(() => metered(module.subarray(0, module.length - 3))).toThrow(/cut off/);
});
