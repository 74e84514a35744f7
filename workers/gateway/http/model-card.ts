/** A model as `/v1/models` describes it: OpenAI's fields, vLLM's `max_model_len`, and what is special about it. */
import type { ModelDescription } from "../../contracts/engine.ts";
import type { LayerKind, ModelCard, ModelForm, ModelOrigin } from "../../contracts/model-files.ts";
import type { ModelStatus } from "../../models/status.ts";
import { samplingDefaults } from "../../models/sampling-defaults.ts";
import { fullAttentionBytesPerToken, isConstant, stateBytes, type KeysAndValues } from "../../models/state-size.ts";

/** How replicas keep keys and values unless they say otherwise. */
const replicasKeep: KeysAndValues = "bf16";

export interface LiveFacts {
  /** Null while no backend answers: what only a backend knows is null then. */
  readonly description: ModelDescription | null;
  readonly status: ModelStatus;
  /** Other names of it. */
  readonly aliases: readonly string[];
}

export function modelCard(card: ModelCard, { description, status, aliases }: LiveFacts): object {
  const { id, created, ownedBy, contextLength, form, origin, sha256, runsOn } = card;
  const digest = sha256 ?? description?.digest ?? null;
  const state = stateOf(card, description);
  return {
    id,
    object: "model",
    created,
    owned_by: ownedBy,
    status: status.status,
    reason: status.reason,
    runs_on: runsOn,
    served_by: status.kinds,
    aliases,
    // An integer for clients that plan by it: prompt plus answer of one request, also where the context has no end.
    max_model_len: description?.contextLength ?? contextLength,
    context: { unlimited: state?.constant ?? null, trained_tokens: contextLength },
    form: formOf(form),
    state,
    spiking: description?.spikes ?? null,
    parameters: description?.parameters ?? card.parameters,
    defaults: samplingDefaults(card),
    decisions: card.decisions ?? null,
    download: card.download === undefined ? null : { bytes: card.download.bytes },
    ...originOf(origin),
    digest: digest === null ? null : `sha256:${digest}`,
    tokenizer_digest: `sha256:${card.tokenizerSha256}`,
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

interface StateJson {
  readonly bytes: number;
  readonly constant: boolean;
  readonly keys_and_values: KeysAndValues;
  readonly full_attention_bytes_per_token: number;
}

/** As a backend says it; of a model that only a pool serves, while none of it does, as its form implies. The engine decides for its own. */
function stateOf({ form, runsOn, contextLength }: ModelCard, description: ModelDescription | null): StateJson | null {
  const said = description?.state;
  if (said !== undefined) {
    const { bytes, constant, keysAndValues } = said;
    return { bytes, constant, keys_and_values: keysAndValues, full_attention_bytes_per_token: said.fullAttentionBytesPerToken };
  }
  if (runsOn.includes("engine")) return null;
  return {
    bytes: stateBytes(form, contextLength, replicasKeep),
    constant: isConstant(form),
    keys_and_values: replicasKeep,
    full_attention_bytes_per_token: fullAttentionBytesPerToken(form, replicasKeep),
  };
}

function originOf({ license, weights, teacher }: ModelOrigin): object {
  return {
    license,
    weights,
    teacher:
      teacher === null ? null : { name: teacher.name, url: teacher.url, license: teacher.license, digest: `sha256:${teacher.sha256}` },
  };
}
