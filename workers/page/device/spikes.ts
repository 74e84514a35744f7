/** What an answer says of its spikes, as the page shows it. */
import { addSpikes, layerTotals, noSpikes, type SpikeCounts, type SpikesByLayer } from "../../contracts/spikes.ts";
import type { DeviceEvent } from "./protocol.ts";

type SpikeMeasure = Extract<DeviceEvent, { type: "spikes" }>["measure"];

/** Of the totals so far, or of the layers at the end. */
export function spikeMeasure(total: SpikeCounts | undefined, byLayer: SpikesByLayer | undefined): SpikeMeasure {
  const layers = byLayer === undefined ? null : layerTotals(byLayer);
  const all = total ?? layers?.reduce(addSpikes, noSpikes) ?? noSpikes;
  return {
    silentShare: share(all.silent, all.channels),
    meanSpikes: share(all.spikes, all.channels),
    layers: layers?.map(({ silent, channels }) => share(silent, channels)) ?? null,
  };
}

const share = (part: number, whole: number): number => (whole > 0 ? part / whole : 0);
