/** A language model of a few lines: logits are a hash of the last tokens. Honest distributions, no weights. */
import type { SamplingParameters, TokenLogprob } from "../../../workers/contracts/engine.ts";

/** Added to a scripted token's logit: its probability is then all but 1. */
const SCRIPTED_BONUS = 60;

export interface ToyChoice {
  readonly id: number;
  readonly logprob: (alternatives: number) => TokenLogprob;
}

export function toyLogits(history: readonly number[], vocabularySize: number, scripted: number | undefined): Float64Array {
  let state = history.length;
  for (const id of history.slice(-3)) state = mix(state ^ id);
  return Float64Array.from(
    { length: vocabularySize },
    (_unused, id) => 6 * unit(mix(state + id * 7919)) + (id === scripted ? SCRIPTED_BONUS : 0),
  );
}

export function toyChoose(logits: Float64Array, sampling: SamplingParameters, position: number, forbidden: ReadonlySet<number>): number {
  const biased = logits.map((logit, id) => (forbidden.has(id) ? -Infinity : logit));
  for (const [id, bias] of sampling.logitBias) if (biased[id] !== undefined) biased[id] += bias;
  if (sampling.temperature === 0) return argmax(biased);
  // Gumbel's trick: the largest of logit plus this noise is a sample.
  return argmax(
    biased.map((logit, id) => logit / sampling.temperature - Math.log(-Math.log(unit(mix(mix(sampling.seed + position) + id))))),
  );
}

export function toyLogprob(logits: Float64Array, id: number, alternatives: number): TokenLogprob {
  const highest = Math.max(...logits);
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0)) + highest;
  const at = (token: number) => (logits[token] ?? -Infinity) - total;
  const order = Array.from(logits.keys()).sort((left, right) => at(right) - at(left));
  return { id, logprob: at(id), top: order.slice(0, alternatives).map((token) => [token, at(token)] as const) };
}

function argmax(values: Float64Array): number {
  return values.reduce((best, value, id) => (value > (values[best] ?? -Infinity) ? id : best), 0);
}

function mix(value: number): number {
  let state = (value + 0x9e3779b9) >>> 0;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

/** In (0, 1). */
const unit = (value: number) => (value + 0.5) / 2 ** 32;
