import { describe, expect, it } from "vitest";
import { fromHalf, toHalf } from "../../../../infra/local/gguf/half.ts";
import { isRequantised, requantised } from "../../../../infra/local/gguf/requantise.ts";
import { runPython } from "../../../support/python.ts";

/** Of blocks that are all bits that can be, but for their scales. */
interface Blocks {
  readonly stored: Buffer;
  /** What the `gguf` package decodes. */
  readonly values: Float32Array;
  /** What the package makes of those values. */
  readonly q80: Buffer;
}

const blocks = new Map(
  Object.entries(JSON.parse(runPython("test/infra/local/gguf/requantise.py")) as Readonly<Record<string, readonly string[]>>).map(
    ([name, texts]): [string, Blocks] => {
      const [stored, values, q80] = texts.map((text) => Buffer.from(text, "base64")) as [Buffer, Buffer, Buffer];
      return [name, { stored, values: new Float32Array(new Uint8Array(values).buffer), q80 }];
    },
  ),
);

const of = (name: string): Blocks => blocks.get(name) as Blocks;
const made = (type: number, data: Buffer) => requantised({ name: "w", dimensions: [256], type, data });

function fromQ80(data: Buffer): number[] {
  return Array.from({ length: (data.length / 34) * 32 }, (_unused, at) => {
    const block = (at >> 5) * 34;
    return Math.fround(fromHalf(data.readUInt16LE(block)) * data.readInt8(block + 2 + (at & 31)));
  });
}

function fromQ41(data: Buffer): number[] {
  return Array.from({ length: (data.length / 20) * 32 }, (_unused, at) => {
    const block = (at >> 5) * 20;
    const byte = data.readUInt8(block + 4 + (at & 15));
    return fromHalf(data.readUInt16LE(block)) * ((at & 16) === 0 ? byte & 15 : byte >> 4) + fromHalf(data.readUInt16LE(block + 2));
  });
}

describe("requantised", () => {
  it("gives Q5_0's own numbers in Q8_0", () => {
    const { type, data } = made(6, of("Q5_0").stored);
    expect(type).toBe(8);
    expect(fromQ80(data).map((value) => value + 0)).toEqual([...of("Q5_0").values].map((value) => value + 0));
  });

  it("gives Q6_K's numbers in Q8_0, to the bit as ggml rounds them", () => {
    const { type, data } = made(14, of("Q6_K").stored);
    expect(type).toBe(8);
    expect(data.equals(of("Q6_K").q80)).toBe(true);
  });

  it("gives Q4_K's codes in Q4_1, whose scales have 11 bits", () => {
    const { stored, values } = of("Q4_K");
    const { type, data } = made(12, stored);
    expect(type).toBe(3);
    for (const [at, value] of fromQ41(data).entries()) {
      const [scale, least] = [fromHalf(data.readUInt16LE((at >> 5) * 20)), fromHalf(data.readUInt16LE((at >> 5) * 20 + 2))];
      const rounding = 2 ** -11 * (15 * Math.abs(scale) + Math.abs(least)) + 16 * 2 ** -25;
      if (!(Math.abs(value - (values[at] ?? NaN)) <= rounding * 1.001)) throw new Error(`value ${String(at)} is ${String(value)}`);
    }
    expect(values.length).toBe(64 * 256);
  });

  it("names a tensor whose scales fit no 16 bits", () => {
    const stored = Buffer.from(of("Q4_K").stored.subarray(0, 144));
    stored.writeUInt16LE(0x7bff);
    expect(() => made(12, stored)).toThrow(/tensor "w" must have scales that fit 16 bits; one is \d+/);
  });

  it("leaves what the engine reads as it is", () => {
    const tensor = { name: "w", dimensions: [32], type: 8, data: Buffer.alloc(34) };
    expect(requantised(tensor)).toBe(tensor);
    expect([0, 1, 2, 3, 6, 8, 12, 14, 24, 26, 30].filter(isRequantised)).toEqual([6, 12, 14]);
  });
});

describe("half", () => {
  it("has every number of 16 bits", () => {
    const halves = Array.from({ length: 0x10000 }, (_unused, half) => half).filter((half) => !Number.isNaN(fromHalf(half)));
    expect(halves.filter((half) => toHalf(fromHalf(half)) !== half)).toEqual([]);
    expect(halves.length).toBe(0x10000 - 2 * 1023);
  });

  it.each([
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [2 ** -25, 0],
    [3 * 2 ** -25, 2],
    [65_519, 0x7bff],
    [-65_520, 0xfc00],
    [NaN, 0x7e00],
  ])("rounds %d to the even one of two", (value, half) => {
    expect(toHalf(value)).toBe(half);
  });
});
