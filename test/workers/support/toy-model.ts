/** A language model of a few lines: logits are a hash of everything read. Honest distributions, no weights. */
import type { SamplingParameters, TokenLogprob } from "../../../workers/contracts/engine.ts";
import { mix } from "./toy-state.ts";

/** Added to a scripted token's logit: its probability is then all but 1. */
const scriptedBonus = 60;

export function toyLogits(digest: number, vocabularySize: number, scripted: number | undefined): Float64Array {
  return Float64Array.from(
    { length: vocabularySize },
    (_unused, id) => 6 * unit(mix(digest + id * 7919)) + (id === scripted ? scriptedBonus : 0),
  );
}

/** What penalties look at. */
export class ToyHistory {
  /** In prompt or output. */
  readonly seen: Set<number>;
  readonly output: number[] = [];

  constructor(seen: Iterable<number>, output: Iterable<number>) {
    this.seen = new Set(seen);
    for (const id of output) this.add(id);
  }

  add(id: number): void {
    this.seen.add(id);
    this.output.push(id);
  }
}

export function toyChoose(logits: Float64Array, sampling: SamplingParameters, history: ToyHistory, forbidden: ReadonlySet<number>): number {
  const counts = new Map<number, number>();
  for (const id of history.output) counts.set(id, (counts.get(id) ?? 0) + 1);
  const biases = new Map(sampling.logitBias);
  const adjusted = logits.map((logit, id) => {
    if (forbidden.has(id)) return -Infinity;
    const count = counts.get(id) ?? 0;
    const repeated = history.seen.has(id) ? logit / sampling.repetitionPenalty : logit;
    return repeated - (count > 0 ? sampling.presencePenalty : 0) - count * sampling.frequencyPenalty + (biases.get(id) ?? 0);
  });
  if (sampling.temperature === 0) return argmax(adjusted);
  // Gumbel's trick: the largest of logit plus this noise is a sample.
  const draw = mix(foldedSeed(sampling.seed) + history.output.length);
  return argmax(adjusted.map((logit, id) => logit / sampling.temperature - Math.log(-Math.log(unit(mix(draw + id))))));
}

export function toyLogprob(logits: Float64Array, id: number, alternatives: number | readonly number[]): TokenLogprob {
  const highest = Math.max(...logits);
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0)) + highest;
  const at = (token: number) => (logits[token] ?? -Infinity) - total;
  const likeliest = (count: number) =>
    Array.from(logits.keys())
      .sort((left, right) => at(right) - at(left))
      .slice(0, count);
  const others = typeof alternatives === "number" ? likeliest(alternatives) : alternatives;
  return { id, logprob: at(id), top: others.map((token) => [token, at(token)] as const) };
}

/** 32 bits, of which every bit of the seed changes some. */
function foldedSeed(seed: SamplingParameters["seed"]): number {
  const bits = BigInt(seed);
  return Number(BigInt.asUintN(32, bits ^ (bits >> 32n)));
}

function argmax(values: Float64Array): number {
  return values.reduce((best, value, id) => (value > (values[best] ?? -Infinity) ? id : best), 0);
}

/** In (0, 1). */
const unit = (value: number) => (value + 0.5) / 2 ** 32;
