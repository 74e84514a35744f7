/**
 * The least that products of nibbles with one or four rows of codes can be, as a module of its own: weights are loaded and unpacked once for
 * all rows, multiplied by vectors that stay in registers, and summed in integers, a block of 32 columns of four weight rows at a time. No
 * codes are loaded, nothing is scaled or written: an engine does no better.
 */
import { timed } from "../timed.ts";
import { instantiate, leb, section, simd, text } from "./wasm-module.ts";

const blockBytes = 64;
const pageBytes = 65_536;
/** Weights that all rows meet before the next ones are loaded: they stay in the nearest cache. */
const stretchBytes = 16_384;
/** Rows that meet an unpacked vector together: more do not fit a host's sixteen registers. */
const tileRows = 4;

interface RowsKernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Sums the products of so many blocks from an address on; the result keeps a compiler from leaving them out. */
  readonly sum: (at: number, blocks: number) => number;
}

/** Products a second of processor time of as many bytes of weights, two to a byte, with so many rows, one or a multiple of four. */
export function bareProductsPerSecond(bytes: number, rows: number, passes = 5): number {
  const tile = Math.min(rows, tileRows);
  const stretches = Math.floor(bytes / stretchBytes);
  const kernel = instantiate(moduleBytes(tile, Math.ceil((stretches * stretchBytes) / pageBytes))) as RowsKernel;
  new Uint8Array(kernel.memory.buffer).fill(0x35);
  const pass = (count: number): void => {
    for (let stretch = 0; stretch < count; stretch += 1)
      for (let row = 0; row < rows; row += tile) kernel.sum(stretch * stretchBytes, stretchBytes / blockBytes);
  };
  // The compiler warms up on a few.
  for (let warm = 0; warm < 50; warm += 1) pass(20);
  const seconds = Array.from({ length: passes }, () => timed(() => pass(stretches)).processor);
  return (stretches * stretchBytes * 2 * rows) / Math.min(...seconds);
}

/** The module's bytes: one memory of so many pages, one function. */
function moduleBytes(rows: number, pages: number): Uint8Array {
  const [i32, v128] = [0x7f, 0x7b];
  const [at, blocks, low, high, mask, first] = [0, 1, 2, 3, 4, 5];
  const [load, constant, and] = [simd(0x00), simd(0x0c), simd(0x4e)];
  const [shiftWords, addWords, widenPairs, addLanes, dotWords] = [simd(0x8d), simd(0x8e), simd(0x7e), simd(0xae), simd(0x112)];
  const all = Array.from({ length: rows }, (_unused, row) => row);
  const get = (local: number): number[] => [0x20, local];
  const set = (local: number): number[] => [0x21, local];
  const number = (value: number): number[] => [0x41, ...leb(value)];
  const sum = (row: number): number => first + row;
  const total = (row: number): number => first + rows + row;
  const codes = (row: number): number => first + 2 * rows + row;
  const fill = (byte: number): number[] => [...constant, ...Array.from({ length: 16 }, () => byte)];
  const product = (row: number, weights: number): number[] => [
    ...[...get(codes(row)), ...get(weights), ...dotWords],
    ...[...get(sum(row)), ...addWords, ...set(sum(row))],
  ];
  const step = (index: number): number[] => [
    ...[...get(at), ...load, 0, ...leb(index * 16), ...[0x22, high], ...get(mask), ...and, ...set(low)],
    ...[...get(high), ...number(4), ...shiftWords, ...get(mask), ...and, ...set(high)],
    ...all.flatMap((row) => [...product(row, low), ...product(row, high)]),
  ];
  const zero = (row: number): number[] => [...fill(0), ...set(sum(row))];
  const finish = (row: number): number[] => [...get(sum(row)), ...widenPairs, ...get(total(row)), ...addLanes, ...set(total(row))];
  const body = [
    // Locals: two vectors of weights, the low nibbles' mask, sums, totals and codes of each row.
    ...[1, 3 + 3 * rows, v128, ...fill(15), ...set(mask), ...all.flatMap((row) => [...fill(row + 3), ...set(codes(row))])],
    ...[0x03, 0x40, ...all.flatMap(zero), ...[0, 1, 2, 3].flatMap(step), ...all.flatMap(finish)],
    ...[...get(at), ...number(blockBytes), 0x6a, ...set(at)],
    ...[...get(blocks), ...number(1), 0x6b, 0x22, blocks, 0x0d, 0, 0x0b],
    // i32x4.extract_lane 0
    ...[...get(total(0)), ...all.slice(1).flatMap((row) => [...get(total(row)), ...addLanes]), ...simd(0x1b), 0, 0x0b],
  ];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 2, i32, i32, 1, i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, ...leb(pages + 1)]),
    ...section(7, [2, ...text("memory"), 2, 0, ...text("sum"), 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}
