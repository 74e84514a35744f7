import type { SpikeMeasure } from "../api/measures.ts";
import { useApp } from "./context.ts";
import { formatPercent, formatRate } from "./format.ts";

/** What an answer's inputs fire: live in two numbers, and layer by layer once it has ended. */
export function SpikeMeter({ spikes }: { readonly spikes: SpikeMeasure }) {
  const { texts } = useApp();
  const silent = formatPercent(spikes.silentShare, texts.code);
  const mean = formatRate(spikes.meanSpikes, texts.code);
  return (
    <div class="spikes">
      <span
        class="meter-bar"
        role="meter"
        aria-label={texts.silentInputs}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(spikes.silentShare * 100)}
        aria-valuetext={silent}
      >
        <span class="meter-fill" style={{ width: `${spikes.silentShare * 100}%` }} />
      </span>
      <span>{texts.spikeSummary(silent, mean)}</span>
      {spikes.layers === null ? null : <Layers shares={spikes.layers} />}
    </div>
  );
}

function Layers({ shares }: { readonly shares: readonly number[] }) {
  const { texts } = useApp();
  const percents = shares.map((share) => formatPercent(share, texts.code));
  return (
    <span class="spike-layers" role="img" aria-label={texts.silentByLayer(percents.join(", "))}>
      {shares.map((share, layer) => (
        <span key={layer} title={texts.layerSilence(layer + 1, percents[layer] ?? "")} style={{ height: `${share * 100}%` }} />
      ))}
    </span>
  );
}
