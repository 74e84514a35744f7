/**
 * How a model is cut into stages, each within the memory of an isolate: as few as hold it, and of those the cut whose largest is the smallest, because
 * the slowest stage is what all wait for. Pure; `sizes.ts` knows what a part takes.
 */
import type { Cut, Span } from "../../../workers/contracts/stages.ts";

/** What of a model decides how it is cut. */
export interface CutModel {
  readonly layers: number;
  readonly vocabulary: number;
  /** Whether embedding and head are one matrix. */
  readonly tied: boolean;
}

/** Bytes that an engine takes which holds a part. */
export interface PartSize {
  readonly weights: number;
  /** Of passes, and what is kept back. */
  readonly buffers: number;
  /** Of one state. */
  readonly state: number;
}

export interface PlanLimits {
  /** Of an engine's linear memory. */
  readonly memoryBytes: number;
  /** So many whole states must fit at once. */
  readonly states: number;
}

/** The engine's own code and stack, and what its allocator loses between blocks. */
export const fixedBytes = 2 << 20;
/** Rows of a matrix that are packed together. */
const panelRows = 4;
const none: Span = [0, 0];

export function takenBytes({ weights, buffers, state }: PartSize, { states }: PlanLimits): number {
  return fixedBytes + weights + buffers + states * state;
}

/**
 * What the engine that leads holds, then each stage, in the order of a pass; undefined where one engine holds the whole model.
 * @throws Error where a half of a layer alone does not fit.
 */
export function planStages(model: CutModel, sizeOf: (cut: Cut) => PartSize, limits: PlanLimits): Cut[] | undefined {
  const all: Span = [0, model.vocabulary];
  const end = 2 * model.layers;
  const bytes = (cut: Cut): number => takenBytes(sizeOf(cut), limits);
  const fits = (cut: Cut): boolean => bytes(cut) <= limits.memoryBytes;
  if (fits({ embedding: all, sublayers: [0, end], head: all })) return undefined;
  const vocabulary = vocabularyParts(model, fits);
  const stages = evenStages(end, (sublayers) => bytes({ embedding: none, sublayers, head: none }), limits.memoryBytes);
  const layers = stages.map((sublayers): Cut => ({ embedding: none, sublayers, head: none }));
  const [lead, ...rest] = vocabulary;
  // What leads has the requests too, and a vocabulary that fits into it is one call less at either end.
  if (lead !== undefined && rest.length === 0) return [lead, ...layers];
  return [{ embedding: none, sublayers: none, head: none }, ...layers, ...vocabulary];
}

/** As few parts of embedding and head as fit, of about as many rows each. */
function vocabularyParts({ vocabulary }: CutModel, fits: (cut: Cut) => boolean): Cut[] {
  for (let count = 1; count <= vocabulary / panelRows; count += 1) {
    const rows = Math.ceil(vocabulary / count / panelRows) * panelRows;
    const parts = Array.from({ length: Math.ceil(vocabulary / rows) }, (_, at): Cut => {
      const span: Span = [at * rows, Math.min(vocabulary, (at + 1) * rows)];
      return { embedding: span, sublayers: none, head: span };
    });
    if (parts.every(fits)) return parts;
  }
  throw new Error("not even a few rows of the model's vocabulary fit in one isolate's memory");
}

/** The fewest ranges that fit, and of those the ones whose largest is the smallest. */
function evenStages(end: number, bytes: (sublayers: Span) => number, most: number): Span[] {
  const fewest = greedy(end, bytes, most);
  let [low, high] = [0, most];
  let best = fewest;
  while (high - low > 1 << 16) {
    const middle = Math.floor((low + high) / 2);
    const found = tryGreedy(end, bytes, middle);
    if (found !== undefined && found.length <= fewest.length) [best, high] = [found, middle];
    else low = middle;
  }
  return best;
}

function greedy(end: number, bytes: (sublayers: Span) => number, most: number): Span[] {
  const found = tryGreedy(end, bytes, most);
  if (found !== undefined) return found;
  const alone = Array.from({ length: end }, (_, at): Span => [at, at + 1]).find((span) => bytes(span) > most) ?? [0, 1];
  const half = alone[0] % 2 === 0 ? "mixer" : "feed-forward";
  throw new Error(
    `the ${half} of layer ${String(alone[0] >> 1)} takes ${String(bytes(alone))} bytes with its states; an isolate has ${String(most)}`,
  );
}

function tryGreedy(end: number, bytes: (sublayers: Span) => number, most: number): Span[] | undefined {
  const spans: Span[] = [];
  for (let from = 0; from < end;) {
    let to = from;
    while (to < end && bytes([from, to + 1]) <= most) to += 1;
    if (to === from) return undefined;
    spans.push([from, to]);
    from = to;
  }
  return spans;
}
