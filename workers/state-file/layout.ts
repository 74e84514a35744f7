/** Which tokens' rows a state file holds, group by group, page by page. A page's tokens are the bits of a 32-bit mask. */
import { pageTokens } from "./page.ts";
import type { StateGroup, StateHeader } from "./header.ts";

export interface PageRows {
  readonly page: number;
  readonly mask: number;
}

type Shape = Pick<StateHeader, "position" | "kept">;

/** Pages of one group, in order, that hold any token that the query at `position` sees. */
export function* pagesOf(shape: Shape, group: StateGroup, fromPage = 0): Generator<PageRows> {
  const start = startOf(shape, group);
  const kept = Math.min(shape.kept, start);
  const end = Math.ceil(shape.position / pageTokens);
  const keptEnd = Math.ceil(kept / pageTokens);
  const pages = Math.floor(start / pageTokens);
  for (let page = fromPage; page < end; page++) {
    if (page >= keptEnd && page < pages) page = pages;
    const mask = (maskOf(page, 0, kept) | maskOf(page, start, shape.position)) >>> 0;
    if (mask !== 0) yield { page, mask };
  }
}

/** Tokens of one group, and the pages that they lie in: counted, however many a header claims, and never listed. */
export function extentOf(shape: Shape, group: StateGroup): { readonly tokens: number; readonly pages: number } {
  const start = startOf(shape, group);
  const kept = Math.min(shape.kept, start);
  const keptEnd = Math.ceil(kept / pageTokens);
  const first = Math.max(keptEnd, Math.floor(start / pageTokens));
  const end = Math.ceil(shape.position / pageTokens);
  return { tokens: kept + shape.position - start, pages: keptEnd + (shape.position > start ? Math.max(0, end - first) : 0) };
}

/** Bytes of the file's rows in pages from this one on. */
export function rowBytes(header: StateHeader, fromPage = 0): number {
  const from = fromPage * pageTokens;
  return header.groups.reduce((sum, group) => {
    const start = startOf(header, group);
    const kept = Math.max(0, Math.min(header.kept, start) - from);
    return sum + (kept + Math.max(0, header.position - Math.max(start, from))) * group.tokenBytes;
  }, 0);
}

export function fileBytes(header: StateHeader): number {
  return header.bytes.length + header.headBytes + rowBytes(header);
}

/** Whether the files of all earlier positions are contained in this one: nothing has left a window or gone into sums. */
export function isCuttable(header: StateHeader): boolean {
  return header.headBytes === 0 && header.groups.every((group) => startOf(header, group) === 0);
}

export function countOf(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}

export const contains = (mask: number, part: number) => (part & ~mask) === 0;

/** The rows of `part` out of those of `mask`, which holds them. */
export function takeRows(rows: Uint8Array, mask: number, part: number, tokenBytes: number): Uint8Array {
  if (mask === part) return rows;
  const taken = new Uint8Array(countOf(part) * tokenBytes);
  let from = 0;
  let to = 0;
  for (let bit = 0; bit < pageTokens; bit++) {
    if (((mask >>> bit) & 1) === 0) continue;
    if (((part >>> bit) & 1) === 1) {
      taken.set(rows.subarray(from, from + tokenBytes), to);
      to += tokenBytes;
    }
    from += tokenBytes;
  }
  return taken;
}

/** Where the window of the query at `position` begins. */
function startOf({ position }: Shape, { window }: StateGroup): number {
  return window === 0 ? 0 : Math.min(position, Math.max(0, position + 1 - window));
}

/** Tokens `[from, to)` as far as they lie in the page. */
function maskOf(page: number, from: number, to: number): number {
  const first = Math.max(0, from - page * pageTokens);
  const end = Math.min(pageTokens, to - page * pageTokens);
  if (end <= first) return 0;
  const ones = end - first === pageTokens ? 0xffffffff : (1 << (end - first)) - 1;
  return (ones << first) >>> 0;
}
