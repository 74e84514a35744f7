/**
 * What a model costs over a fleet of isolates, from what one machine has measured: seconds a weight and a call take, and what tokens that share a
 * pass save. Pure: the plan is the planner's own.
 */
import { planStages, type PartSize } from "../../../infra/local/stages/plan.ts";
import type { Cut, Span } from "../../../workers/contracts/stages.ts";

/** Of a dense model whose layers are alternately linear and windowed. */
export interface FleetModel {
  readonly layers: number;
  readonly hidden: number;
  readonly inner: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
  readonly tied: boolean;
  /** Bits of a weight, scales included. */
  readonly bitsPerWeight: number;
  /** Keys and values that a windowed layer keeps at the most; a linear one keeps matrices. */
  readonly window: number;
}

export interface Measured {
  /** Weights that one token meets in a second, on one thread, all told. */
  readonly weightsPerSecond: number;
  /** Of a pass of so many tokens over one of one token, ascending. */
  readonly passCosts: readonly (readonly [tokens: number, cost: number])[];
  /** What of a call from one Worker to another and back is in none of the other figures. */
  readonly hopSeconds: number;
}

/** US dollars, Cloudflare's Durable Objects: requests, and gigabyte-seconds of objects in memory, each of which counts as 128 MB. */
export const prices = { perMillionRequests: 0.15, perMillionGigabyteSeconds: 12.5, gigabytes: 0.128 } as const;

/** Tokens of a pass of a part, and those that go through its feed-forward together. */
const passTokens = 32;
const fedTokens = 8;
const floatBytes = 4;

/** With a state that has read so many tokens. */
export function sizeOf(model: FleetModel, tokens: number): (cut: Cut) => PartSize {
  const { hidden, inner, heads, kvHeads, headDim, bitsPerWeight, window } = model;
  const bytes = (weights: number): number => (weights * bitsPerWeight) / 8;
  const width = (span: Span): number => span[1] - span[0];
  return ({ embedding, sublayers, head }) => {
    const feeds = Math.floor(sublayers[1] / 2) - Math.floor(sublayers[0] / 2);
    const mixes = width(sublayers) - feeds;
    const rows = model.tied ? Math.max(width(embedding), width(head)) : width(embedding) + width(head);
    const codes = 2 * kvHeads * (headDim + floatBytes);
    // Odd layers have windows.
    const windowed = Array.from({ length: width(sublayers) }, (_, at) => sublayers[0] + at).filter((half) => half % 4 === 2).length;
    const windowState = (Math.min(tokens, window) + 32) * codes;
    const matrixState = kvHeads * headDim * headDim * floatBytes;
    const state = windowed * windowState + (mixes - windowed) * matrixState;
    // Of a pass: rows in each of their forms; of a feed-forward, eight tokens at a time; and what attention computes with.
    const together = feeds > 0 ? fedTokens * (3.3 * inner + 2.25 * hidden) : 0;
    const pass = floatBytes * (passTokens * (3.25 * hidden + (mixes > 0 ? 5 * heads * headDim : 0)) + together);
    const exchange = floatBytes * (4 * passTokens * hidden + 2 * 16 * width(head)) + 8 * model.vocabulary + (1 << 20);
    return { weights: bytes(mixes * mixerWeights(model) + feeds * 3 * hidden * inner + rows * hidden), buffers: pass + exchange, state };
  };
}

function mixerWeights({ hidden, heads, kvHeads, headDim }: FleetModel): number {
  return 2 * hidden * heads * headDim + 2 * hidden * kvHeads * headDim;
}

export interface FleetLoad {
  /** Answers at once; each has its state in every stage. */
  readonly streams: number;
  /** Tokens that each of them has read. */
  readonly tokens: number;
}

export interface FleetPoint extends FleetLoad {
  readonly hopSeconds: number;
  readonly isolates: number;
  /** Calls that a token makes one after another. */
  readonly hops: number;
  readonly tokensPerSecond: number;
  /** Between two tokens of one stream. */
  readonly secondsPerToken: number;
  readonly dollarsPerMillionTokens: number;
}

/** Costs of a pass of so many tokens over one of one, between those that were measured. */
export function passCost(costs: Measured["passCosts"], tokens: number): number {
  const after = costs.findIndex(([count]) => count >= tokens);
  const [to, toCost] = costs[after === -1 ? costs.length - 1 : after] ?? [1, 1];
  const [from, fromCost] = costs[Math.max(0, (after === -1 ? costs.length : after) - 1)] ?? [1, 1];
  if (to === from || tokens >= to) return (toCost * tokens) / to;
  return fromCost + ((toCost - fromCost) * (tokens - from)) / (to - from);
}

/** One fleet under one load: it is cut so that all states fit. @throws Error where a half of a layer and its states do not fit in an isolate */
export function simulateFleet(
  model: FleetModel,
  measured: Measured,
  { memoryBytes, load, hopSeconds }: { readonly memoryBytes: number; readonly load: FleetLoad; readonly hopSeconds: number },
): FleetPoint {
  const { streams, tokens } = load;
  const size = sizeOf(model, tokens);
  const whole: Cut = { embedding: [0, model.vocabulary], sublayers: [0, 2 * model.layers], head: [0, model.vocabulary] };
  const cuts = planStages(model, size, { memoryBytes, states: streams }) ?? [whole];
  // Rows of the embedding are looked up, and no product meets them; parts of the head are asked together.
  const computed = (cut: Cut): number => (size({ ...cut, embedding: [0, 0] }).weights * 8) / model.bitsPerWeight;
  const hasLayers = ({ sublayers: [from, to] }: Cut): boolean => to > from;
  const stages = cuts.filter(hasLayers).map(computed);
  const heads = cuts.filter((cut) => !hasLayers(cut)).map(computed);
  const isAlone = cuts.length === 1;
  const leadHasHead = isAlone || (cuts[0]?.head[1] ?? 0) > 0;
  const hops = (isAlone ? 0 : stages.length) + (leadHasHead ? 0 : 2);
  const calls = (isAlone ? 0 : stages.length) + (leadHasHead ? 0 : 2 * heads.filter((weights) => weights > 0).length);
  const way = [...stages, Math.max(0, ...heads)].filter((weights) => weights > 0);
  // Every stage has a pass, as long as there are as many streams.
  const passes = Math.min(streams, way.length);
  const together = streams / passes;
  const seconds = (weights: number): number => (weights / measured.weightsPerSecond) * passCost(measured.passCosts, together);
  const trip = way.reduce((sum, weights) => sum + seconds(weights), 0) + hops * (measured.hopSeconds + hopSeconds);
  const secondsPerToken = Math.max(trip, passes * Math.max(...way.map(seconds)));
  const tokensPerSecond = streams / secondsPerToken;
  const requests = (calls / together) * prices.perMillionRequests;
  const memory = ((cuts.length * prices.gigabytes) / tokensPerSecond) * prices.perMillionGigabyteSeconds;
  return { ...load, hopSeconds, isolates: cuts.length, hops, tokensPerSecond, secondsPerToken, dollarsPerMillionTokens: requests + memory };
}

/** SpikingBrain-7B: half of its layers see a window of 4,096 tokens, the others keep matrices. */
export const sevenB: FleetModel = {
  layers: 28,
  hidden: 3584,
  inner: 18_944,
  heads: 28,
  kvHeads: 4,
  headDim: 128,
  vocabulary: 152_064,
  tied: false,
  bitsPerWeight: 4.5,
  window: 4096,
};
