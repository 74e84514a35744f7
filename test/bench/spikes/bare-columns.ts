/**
 * The least that an event-driven product can be, as a module of its own: of a matrix that lies in memory column by column, those whose input
 * fires are read and added up, and nothing else is done with them. Where even that takes as long as reading all, no product gains by skipping.
 */
import { instantiate, leb, section, simd, text } from "../profile/wasm-module.ts";
import { timed } from "../timed.ts";

const pageBytes = 65_536;
/** Where the columns begin, behind the list of those that fire. */
const firstColumn = 1 << 20;
const vectorBytes = 16;

interface ColumnsKernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Adds up so many columns of so many vectors, whose places are listed from an address on; the result keeps a compiler from leaving them out. */
  readonly sum: (list: number, count: number, vectors: number) => number;
}

/** Columns of `columnBytes` that fill `bytes` of memory: the least processor seconds of a read of the given shares of them, alternately. */
export function secondsOfColumns(bytes: number, columnBytes: number, shares: readonly number[], passes = 7): number[] {
  const count = Math.floor(bytes / columnBytes);
  const kernel = instantiate(moduleBytes(Math.ceil((firstColumn + bytes) / pageBytes))) as ColumnsKernel;
  new Uint8Array(kernel.memory.buffer, firstColumn, bytes).fill(3);
  const lists = shares.map((share) => firing(count, share).map((column) => firstColumn + column * columnBytes));
  const read = (places: Uint32Array): number => {
    new Uint32Array(kernel.memory.buffer, 0, places.length).set(places);
    return timed(() => kernel.sum(0, places.length, columnBytes / vectorBytes)).processor;
  };
  const best = lists.map(() => Infinity);
  // The compiler warms up on the first pass.
  for (let pass = 0; pass <= passes; pass += 1)
    for (const [index, places] of lists.entries()) best[index] = Math.min(best[index] ?? Infinity, pass === 0 ? Infinity : read(places));
  return best;
}

/** Which columns fire: as many as the share says, without a pattern, in order. The same in every run. */
function firing(count: number, share: number): Uint32Array {
  let number = 1;
  const next = (): number => (number = (Math.imul(number, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  return Uint32Array.from(Array.from({ length: count }, (_unused, column) => column).filter(() => next() < share));
}

/** The module's bytes: one memory of so many pages, one function. */
function moduleBytes(pages: number): Uint8Array {
  const [i32, v128] = [0x7f, 0x7b];
  const [list, count, vectors, at, left, total] = [0, 1, 2, 3, 4, 5];
  const get = (local: number): number[] => [0x20, local];
  const set = (local: number): number[] => [0x21, local];
  const add = (local: number, by: number): number[] => [...get(local), 0x41, ...leb(by), 0x6a, ...set(local)];
  const down = (local: number): number[] => [...get(local), 0x41, 1, 0x6b, 0x22, local];
  const body = [
    // Locals: a place and what is left of a column, then the sum.
    ...[2, 2, i32, 1, v128],
    ...[0x03, 0x40, ...get(list), 0x28, 2, 0, ...set(at), ...get(vectors), ...set(left)],
    // i8x16.add of v128.load
    ...[0x03, 0x40, ...get(total), ...get(at), ...simd(0x00), 0, 0, ...simd(0x6e), ...set(total)],
    ...[...add(at, vectorBytes), ...down(left), 0x0d, 0, 0x0b],
    ...[...add(list, 4), ...down(count), 0x0d, 0, 0x0b],
    // i32x4.extract_lane 0
    ...[...get(total), ...simd(0x1b), 0, 0x0b],
  ];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 3, i32, i32, i32, 1, i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, ...leb(pages)]),
    ...section(7, [2, ...text("memory"), 2, 0, ...text("sum"), 0, 0]),
    ...section(10, [1, ...leb(body.length), ...body]),
  ]);
}
