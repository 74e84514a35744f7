/** What the toy says of itself beside its tokens. */
import type { SpikeCounts, SpikesByLayer } from "../../../workers/contracts/spikes.ts";
import type { StateDescription, StateReport } from "../../../workers/contracts/state.ts";
import { toyStateBytes } from "./toy-state.ts";

/** What the toy's two layers have fired once they have read so many tokens: of ten inputs a token one is silent, then two. */
export function toySpikes(tokens: number): SpikesByLayer {
  const layer = (silent: number): SpikeCounts => ({
    channels: 10 * tokens,
    silent: silent * tokens,
    small: 9 * tokens,
    count: 20 * tokens,
    spikes: 12 * tokens,
    windows: [silent * tokens, 5 * tokens, 2 * tokens, tokens],
    multiplyAccumulates: 1000 * tokens,
    skipped: 100 * silent * tokens,
    additions: 1200 * tokens,
  });
  return [{ attention_in: layer(1) }, { attention_in: layer(2), query: layer(2) }];
}

export const toyStates: StateDescription = {
  bytes: toyStateBytes(2 ** 30),
  constant: true,
  keysAndValues: "f32",
  fullAttentionBytesPerToken: 384,
};

export function toyState(tokens: number): StateReport {
  return { tokens, bytes: toyStateBytes(tokens) };
}
