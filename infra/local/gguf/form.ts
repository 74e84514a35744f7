/** How a model mixes tokens, from the keys of `gpu-backend/spikingbrain/checkpoint/gguf_metadata.py`. */
import type { LayerKind, ModelForm } from "../../../workers/contracts/model-files.ts";
import { broken, integer, isInteger, isText, list, optional, type Metadata } from "./fields.ts";

/** `llama` and `qwen2` files have full attention and a dense feed-forward in every layer. */
const mixedArchitecture = "spikingbrain";

export function formOf(metadata: Metadata, architecture: string): ModelForm {
  const key = (name: string): string => `${architecture}.${name}`;
  const count = integer(metadata, key("block_count"));
  const heads = integer(metadata, key("attention.head_count"));
  const whole = (name: string): number | undefined => optional(metadata, key(name), isInteger, "an integer");
  const each = (name: string, fallback: string | undefined): string[] => {
    if (fallback !== undefined && metadata[key(name)] === undefined) return Array.from({ length: count }, () => fallback);
    const kinds = list(metadata, key(name), isText, "strings");
    if (kinds.length !== count) throw broken(key(name), `must have an entry for each of ${String(count)} layers`, kinds.length);
    return kinds;
  };
  const mixers = each("layer.mixers", architecture === mixedArchitecture ? undefined : "full");
  const branches = new Set(mixers.flatMap((mixer) => mixer.split("+")));
  return {
    layers: countedKinds(mixers, each("layer.feed_forwards", "dense")),
    window: branches.has("window") || branches.has("evicted") ? integer(metadata, key("attention.sliding_window")) : null,
    keptTokens: whole("attention.kept_tokens") ?? 0,
    learnedSinks: whole("attention.sink_count") ?? 0,
    salientTokens: branches.has("evicted") ? integer(metadata, key("evicted.salient")) : null,
    kvHeads: whole("attention.head_count_kv") ?? heads,
    headDim: whole("attention.key_length") ?? Math.floor(integer(metadata, key("embedding_length")) / heads),
  };
}

function countedKinds(mixers: readonly string[], feedForwards: readonly string[]): LayerKind[] {
  const kinds: LayerKind[] = [];
  for (const [layer, mixer] of mixers.entries()) {
    const feedForward = feedForwards[layer] ?? "";
    const at = kinds.findIndex((kind) => kind.mixer === mixer && kind.feedForward === feedForward);
    const known = kinds[at];
    if (known === undefined) kinds.push({ mixer, feedForward, count: 1 });
    else kinds[at] = { ...known, count: known.count + 1 };
  }
  return kinds;
}
