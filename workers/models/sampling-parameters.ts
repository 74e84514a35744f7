/** How an answer's tokens are chosen, with every default made explicit: the same wherever it is computed. */
import type { SamplingParameters } from "../contracts/engine.ts";
import type { ModelCard } from "../contracts/model-files.ts";
import { samplingDefaults } from "./sampling-defaults.ts";

/** A request's fields, by their names in the API. What is left out, or null, is the model's own. */
export interface SamplingFields {
  readonly temperature?: number | null | undefined;
  readonly top_p?: number | null | undefined;
  readonly top_k?: number | null | undefined;
  readonly min_p?: number | null | undefined;
  readonly repetition_penalty?: number | null | undefined;
  readonly presence_penalty?: number | null | undefined;
  readonly frequency_penalty?: number | null | undefined;
}

export function samplingParameters(
  body: SamplingFields,
  card: Pick<ModelCard, "defaults">,
  logitBias: SamplingParameters["logitBias"],
  seed: bigint,
): SamplingParameters {
  const defaults = samplingDefaults(card);
  return {
    temperature: body.temperature ?? defaults.temperature,
    topK: Math.max(0, body.top_k ?? defaults.top_k),
    topP: body.top_p ?? defaults.top_p,
    minP: body.min_p ?? defaults.min_p,
    repetitionPenalty: body.repetition_penalty ?? defaults.repetition_penalty,
    presencePenalty: body.presence_penalty ?? 0,
    frequencyPenalty: body.frequency_penalty ?? 0,
    logitBias,
    seed: seedOf(seed),
  };
}

/** Short ones leave room for one more with each choice. */
export function randomSeed(long: boolean): bigint {
  const seed = crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n;
  return long ? seed : BigInt.asUintN(31, seed);
}

/** Unsigned, in two's complement: as different as the client's own. */
function seedOf(seed: bigint): SamplingParameters["seed"] {
  const unsigned = BigInt.asUintN(64, seed);
  return unsigned <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(unsigned) : String(unsigned);
}
