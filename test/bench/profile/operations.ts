/** What the engine's functions are called in a profile, most particular first. */
const names: readonly (readonly [pattern: RegExp, operation: string])[] = [
  [/kernel::(of_nibbles|simd128::pairs)/, "products with nibbles: projections and feed-forward"],
  [/kernel::of_bytes/, "products with bytes: the head"],
  [/kernel::of_(halves|floats|groups)/, "products of other types"],
  [/attention::scores/, "attention: keys with queries"],
  [/attention::values|Page::values/, "attention: weights with values"],
  [/attention::attention_weights/, "attention: softmax"],
  [/layer::attention/, "attention: the rest"],
  [/layer::evicted|model::evicted|state::salient/, "what is remembered of evicted tokens"],
  [/gated_linear/, "linear attention"],
  [/quantise|packed|Activations/, "rounding of activations"],
  [/feed_forward/, "feed-forward's activation, and mixing of experts"],
  [/key_values|state::page/, "storing keys and values"],
  [/sample|spikingbrain::/, "choosing a token, and the way to JavaScript"],
  [/spikingbrain_engine::|dlmalloc|^mem(cpy|set|move)$|^fmax/, "other parts of the engine"],
];

/** What runs outside the engine: JavaScript, its garbage collector, the profiler itself. */
const outside = "outside the engine";

export function operationOf(functionName: string): string {
  return names.find(([pattern]) => pattern.test(functionName))?.[1] ?? outside;
}
