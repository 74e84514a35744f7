/**
 * The least that a product of int8 weights with one input can be, as a module of its own: every byte is loaded once, widened, multiplied by
 * a vector that stays in a register, and added. No scales, no activations to load, no rows. What an engine reaches is told as a share of it.
 */
import { timed } from "../timed.ts";
import { instantiate, leb, section, simd, text } from "./wasm-module.ts";

/** Bytes that a pass of the loop takes: eight accumulators of eight weights each. */
const accumulators = 8;
const passBytes = accumulators * 8;
const pageBytes = 65_536;

interface BareKernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Sums the products of so many passes; the result keeps a compiler from leaving them out. */
  readonly sum: (passes: number) => number;
}

/** Weights a second of processor time over so many bytes of int8 weights: the best of some passes. */
export function bareWeightsPerSecond(bytes: number, passes = 5): number {
  const kernel = instantiate(moduleBytes(Math.ceil(bytes / pageBytes))) as BareKernel;
  new Uint8Array(kernel.memory.buffer).fill(3);
  const count = Math.floor(bytes / passBytes);
  // The compiler warms up on a few.
  for (let warm = 0; warm < 50; warm += 1) kernel.sum(1000);
  const seconds = Array.from({ length: passes }, () => timed(() => kernel.sum(count)).processor);
  return (count * passBytes) / Math.min(...seconds);
}

/** The module's bytes: one memory of so many pages, one function. */
function moduleBytes(pages: number): Uint8Array {
  const [i32, v128] = [0x7f, 0x7b];
  const [passes, at, first] = [0, 1, 2];
  const get = (local: number): number[] => [0x20, local];
  const set = (local: number): number[] => [0x21, local];
  const constant = (value: number): number[] => [0x41, ...leb(value)];
  const step = Array.from({ length: accumulators }, (_unused, index) => [
    ...get(first + index),
    // i16x8.load8x8_s, i16x8.splat, i32x4.dot_i16x8_s, i32x4.add
    ...[...get(at), ...simd(0x01), 0, ...leb(index * 8)],
    ...[...constant(3), ...simd(0x10), ...simd(0xba), ...simd(0xae)],
    ...set(first + index),
  ]).flat();
  const total = Array.from({ length: accumulators - 1 }, (_unused, index) => [...get(first + index + 1), ...simd(0xae)]).flat();
  const body = [
    // Locals: an address, then the accumulators.
    ...[2, 1, i32, accumulators, v128],
    ...[0x03, 0x40, ...step],
    ...[...get(at), ...constant(passBytes), 0x6a, ...set(at)],
    ...[...get(passes), ...constant(1), 0x6b, 0x22, passes, 0x0d, 0, 0x0b],
    // i32x4.extract_lane 0
    ...[...get(first), ...total, ...simd(0x1b), 0, 0x0b],
  ];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, i32, 1, i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, ...leb(pages + 1)]),
    ...section(7, [2, ...text("memory"), 2, 0, ...text("sum"), 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}
