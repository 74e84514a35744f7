/**
 * What an answer says of its spikes: shares and means of exact sums, operations done and skipped, and an *estimate* of energy, never a
 * measurement. The constants are the 45 nm figures that the SpikingBrain report cites (`gpu-backend/spikingbrain/spike/energy.py`); memory
 * traffic and the control of event-driven hardware are left out.
 */
import { addSpikes, layerTotals, noSpikes, type SpikeCounts, type SpikesByLayer, type SpikingMode } from "../../contracts/spikes.ts";

const fp16MacPicojoules = 1.5;
const int8MacPicojoules = 0.23;
const int8AdditionPicojoules = 0.03;

export interface SpikeShares {
  /** Share of inputs that do not fire. */
  readonly silent_share: number;
  /** Share of inputs with a count of at most 7. */
  readonly small_share: number;
  readonly mean_count: number;
  /** Spikes an input, in the bidirectional binary coding. */
  readonly mean_spikes: number;
  /** Shares of windows of three time steps with 0, 1, 2 and 3 spikes. */
  readonly window_shares: readonly number[];
}

export interface SpikeReport extends SpikeShares {
  readonly mode: SpikingMode;
  readonly operations: {
    readonly multiply_accumulates: number;
    readonly skipped: number;
    readonly skipped_share: number;
    readonly additions: number;
  };
  readonly energy_estimate: {
    readonly spikes_microjoules: number;
    readonly int8_microjoules: number;
    readonly fp16_microjoules: number;
    readonly formula: string;
    readonly picojoules: { readonly int8_addition: number; readonly int8_mac: number; readonly fp16_mac: number };
  };
  /** Null where a stop string ended the answer before the engine told them apart. */
  readonly layers: readonly SpikeShares[] | null;
}

export function spikeShares(counts: SpikeCounts): SpikeShares {
  const windows = counts.windows.reduce((sum, count) => sum + count, 0);
  return {
    silent_share: share(counts.silent, counts.channels),
    small_share: share(counts.small, counts.channels),
    mean_count: share(counts.count, counts.channels),
    mean_spikes: share(counts.spikes, counts.channels),
    window_shares: counts.windows.map((count) => share(count, windows)),
  };
}

export function spikeReport(mode: SpikingMode, total: SpikeCounts, layers: readonly SpikeCounts[] | null): SpikeReport {
  const { multiplyAccumulates, skipped, additions } = total;
  return {
    mode,
    ...spikeShares(total),
    operations: {
      multiply_accumulates: multiplyAccumulates,
      skipped,
      skipped_share: share(skipped, multiplyAccumulates),
      additions,
    },
    energy_estimate: {
      spikes_microjoules: microjoules(additions, int8AdditionPicojoules),
      int8_microjoules: microjoules(multiplyAccumulates, int8MacPicojoules),
      fp16_microjoules: microjoules(multiplyAccumulates, fp16MacPicojoules),
      formula: "spikes: additions * int8_addition; int8, fp16: multiply_accumulates * int8_mac, fp16_mac",
      picojoules: { int8_addition: int8AdditionPicojoules, int8_mac: int8MacPicojoules, fp16_mac: fp16MacPicojoules },
    },
    layers: layers?.map(spikeShares) ?? null,
  };
}

/** What a chunk says of the spikes so far, where they are counted. */
export function liveSpikes(counts: SpikeCounts | undefined): { readonly spikes?: SpikeShares } {
  return counts === undefined ? {} : { spikes: spikeShares(counts) };
}

/** Sums over the choices of an answer. */
export class SpikeSums {
  #total = noSpikes;
  #layers: readonly SpikeCounts[] | null = [];

  /** A choice's counts by layer, or where it ended without them the totals of its last token. */
  add(byLayer: SpikesByLayer | undefined, total: SpikeCounts | undefined): void {
    const layers = byLayer === undefined ? null : layerTotals(byLayer);
    this.#total = addSpikes(this.#total, layers?.reduce(addSpikes, noSpikes) ?? total ?? noSpikes);
    const before = this.#layers;
    this.#layers = before === null || layers === null ? null : layers.map((counts, layer) => addSpikes(counts, before[layer] ?? noSpikes));
  }

  report(mode: SpikingMode): SpikeReport {
    return spikeReport(mode, this.#total, this.#layers);
  }
}

function share(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}

function microjoules(operations: number, picojoules: number): number {
  return (operations * picojoules) / 1e6;
}
