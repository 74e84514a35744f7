/** A model as `/v1/models` describes it: OpenAI's fields, vLLM's `max_model_len`, and what is special about it. */
import type { ModelDescription } from "../../contracts/engine.ts";
import type { LayerKind, ModelForm, ModelManifest, ModelOrigin } from "../../contracts/model-files.ts";
import type { StateDescription } from "../../contracts/state.ts";
import { samplingDefaults } from "../../models/sampling-defaults.ts";

/** `description` is null while no backend answers: what only a backend knows is null then. */
export function modelCard(manifest: ModelManifest, description: ModelDescription | null): object {
  const { id, created, ownedBy, contextLength, form, origin, sha256 } = manifest;
  const state = description?.state;
  return {
    id,
    object: "model",
    created,
    owned_by: ownedBy,
    // An integer for clients that plan by it: prompt plus answer of one request, also where the context has no end.
    max_model_len: description?.contextLength ?? contextLength,
    context: { unlimited: state?.constant ?? null, trained_tokens: contextLength },
    form: formOf(form),
    state: state === undefined ? null : stateOf(state),
    spiking: description?.spikes ?? null,
    parameters: description?.parameters ?? null,
    defaults: samplingDefaults(manifest),
    ...originOf(origin),
    digest: `sha256:${sha256}`,
  };
}

function formOf(form: ModelForm): object {
  const { layers, window, keptTokens, learnedSinks, salientTokens } = form;
  return {
    summary: formSummary(form),
    layers: layers.map(({ mixer, feedForward, count }) => ({ mixer, feed_forward: feedForward, count })),
    window,
    kept_tokens: keptTokens,
    learned_sinks: learnedSinks,
    salient_tokens: salientTokens,
  };
}

/** As "window 512 + evicted-token state in every layer". */
export function formSummary({ layers, window }: ModelForm): string {
  const counts = new Map<string, number>();
  for (const { mixer, count } of layers) counts.set(mixer, (counts.get(mixer) ?? 0) + count);
  const every = counts.size === 1;
  return [...counts].map(([mixer, count]) => `${mixerName(mixer, window)} in ${every ? "every layer" : layerCount(count)}`).join(", ");
}

function layerCount(count: number): string {
  return count === 1 ? "1 layer" : `${count} layers`;
}

function mixerName(mixer: LayerKind["mixer"], window: number | null): string {
  const seen = window === null ? "window" : `window ${window}`;
  const names: Readonly<Record<string, string>> = {
    full: "full attention",
    window: seen,
    linear: "linear attention",
    evicted: `${seen} + evicted-token state`,
  };
  return mixer
    .split("+")
    .map((branch) => names[branch] ?? branch)
    .join(" + ");
}

function stateOf({ bytes, constant, keysAndValues, fullAttentionBytesPerToken }: StateDescription): object {
  return { bytes, constant, keys_and_values: keysAndValues, full_attention_bytes_per_token: fullAttentionBytesPerToken };
}

function originOf({ license, teacher }: ModelOrigin): object {
  return {
    license,
    teacher:
      teacher === null ? null : { name: teacher.name, url: teacher.url, license: teacher.license, digest: `sha256:${teacher.sha256}` },
  };
}
