import type { ModelState } from "../api/model.ts";

/** The shortest conversation, in tokens, whose keys and values alone would take more than this model's state ever does. */
export function cheaperFrom({ bytes, fullAttentionBytesPerToken }: ModelState): number {
  return Math.floor(bytes / fullAttentionBytesPerToken) + 1;
}

/** How much longer and shorter than the length at which the lines cross the chart's conversations are, at least. */
const leastSpan = 16;

/** Where something lies on the chart: both from 0 to 1, in the logarithm of its tokens and of its bytes. */
export interface ChartPoint {
  readonly x: number;
  readonly y: number;
}

export interface MemoryChart {
  /** What any conversation takes at the most: a level line. */
  readonly stateY: number;
  /** What full attention takes: through the corners, from the shortest conversation shown to the longest. */
  readonly crossing: ChartPoint;
  readonly nowState: ChartPoint;
  readonly nowCache: ChartPoint;
}

/** Bytes over the length of a conversation; both axes are logarithmic, so that twice is as far anywhere. */
export function memoryChart(tokens: number, bytes: number, model: ModelState): MemoryChart {
  const { fullAttentionBytesPerToken: perToken } = model;
  const cross = model.bytes / perToken;
  const span = Math.max(leastSpan, (2 * tokens) / cross, (2 * cross) / Math.max(tokens, 1));
  const place = (length: number) => Math.min(1, Math.max(0, 0.5 + Math.log(length / cross) / (2 * Math.log(span))));
  const point = (length: number, size: number): ChartPoint => ({ x: place(length), y: place(size / perToken) });
  const now = Math.max(tokens, 1);
  return {
    stateY: place(cross),
    crossing: point(cross, model.bytes),
    nowState: point(now, bytes),
    nowCache: point(now, now * perToken),
  };
}
