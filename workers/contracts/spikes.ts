/** Spikes as the engine counts them: which inputs of products fire, and sums that are exact in integers (`wasm/engine/src/spike`). */

/** `paper`: every linear input fires; `released`: all of them but the input of `down_proj`. */
export const spikingModes = ["off", "paper", "released"] as const;
export type SpikingMode = (typeof spikingModes)[number];

/** Inputs of a layer's products, in the order in which they fire. */
export const spikeSites = ["attention_in", "gate_in", "query", "attention_out", "feed_forward_in", "feed_forward_down"] as const;
export type SpikeSite = (typeof spikeSites)[number];

/** Sums over channels and tokens; two of them add up. A channel's spikes are the ones among the binary digits of its signed count. */
export interface SpikeCounts {
  /** Inputs seen. */
  readonly channels: number;
  /** Those with count 0. */
  readonly silent: number;
  /** Those with a count of at most 7 in magnitude. */
  readonly small: number;
  /** Sum of the counts' magnitudes. */
  readonly count: number;
  readonly spikes: number;
  /** Windows of three time steps with 0, 1, 2 and 3 spikes. */
  readonly windows: readonly [none: number, one: number, two: number, three: number];
  /** Of a dense product: inputs times outputs. */
  readonly multiplyAccumulates: number;
  /** Those of silent channels, which an event-driven product leaves out. */
  readonly skipped: number;
  /** Spikes times outputs: what a product does that goes step by step. */
  readonly additions: number;
}

/** Of each layer the sites that have fired. */
export type SpikesByLayer = readonly Readonly<Partial<Record<SpikeSite, SpikeCounts>>>[];

export const noSpikes: SpikeCounts = {
  channels: 0,
  silent: 0,
  small: 0,
  count: 0,
  spikes: 0,
  windows: [0, 0, 0, 0],
  multiplyAccumulates: 0,
  skipped: 0,
  additions: 0,
};

export function addSpikes(one: SpikeCounts, other: SpikeCounts): SpikeCounts {
  const window = (at: 0 | 1 | 2 | 3) => one.windows[at] + other.windows[at];
  return {
    channels: one.channels + other.channels,
    silent: one.silent + other.silent,
    small: one.small + other.small,
    count: one.count + other.count,
    spikes: one.spikes + other.spikes,
    windows: [window(0), window(1), window(2), window(3)],
    multiplyAccumulates: one.multiplyAccumulates + other.multiplyAccumulates,
    skipped: one.skipped + other.skipped,
    additions: one.additions + other.additions,
  };
}

/** Each layer's sites together. */
export function layerTotals(spikes: SpikesByLayer): SpikeCounts[] {
  return spikes.map((sites) => Object.values(sites).reduce(addSpikes, noSpikes));
}
