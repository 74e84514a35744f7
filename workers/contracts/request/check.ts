/** Checks a request that came over RPC; the first field at fault is named. */
import { constraintRefusalOf } from "../constraint.ts";
import type { ModelVersion } from "../model-version.ts";
import { mostScoredTokens, promptScoresLimit, priorities, type SamplingParameters } from "../engine.ts";
import type { ServiceFailure } from "../errors.ts";
import type { SpikingMode } from "../spikes.ts";
import type { StateDescription } from "../state.ts";
import { contextLengthExceeded, invalidField, otherModel } from "./failures.ts";
import type { RequestToCheck } from "./open-state.ts";
import { stateRefusalOf } from "./check-states.ts";

export interface RequestLimits extends Pick<ModelVersion, "id" | "digest"> {
  readonly vocabularySize: number;
  /** Prompt plus completion, in tokens. */
  readonly contextLength: number;
  readonly spikes?: SpikingMode;
  /** Where it is not constant, what a resumed state has read counts into the context. */
  readonly state?: Pick<StateDescription, "constant">;
}

/** Alternatives per token that one event may carry. */
const mostLogprobs = 20;
const mostStopTokens = 64;
const mostAllowedTokens = 16_384;
const mostBannedSeries = 128;
const longestBannedSeries = 64;
const longestShare = 64;
/** As many pairs as a client may send; more would only repeat ids. */
const mostLogitBiases = 1024;
const largestCount = 2 ** 32 - 1;
const largestSeed = 2n ** 64n - 1n;

type Check = (request: RequestToCheck, limits: RequestLimits) => ServiceFailure | undefined;

/** Inclusive ranges, save where `above` says that the lower end is not allowed. */
const samplingRanges: readonly (readonly [keyof SamplingParameters, low: number, high: number, kind?: "above" | "integer"])[] = [
  ["temperature", 0, 2],
  ["topK", 0, largestCount, "integer"],
  ["topP", 0, 1, "above"],
  ["minP", 0, 1],
  ["repetitionPenalty", 0, 2, "above"],
  ["presencePenalty", -2, 2],
  ["frequencyPenalty", -2, 2],
];

/** Why a request cannot be served, or undefined when it can. */
export function refusalOf(request: RequestToCheck, limits: RequestLimits): ServiceFailure | undefined {
  for (const check of checks) {
    const failure = check(request, limits);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

const checks: readonly Check[] = [
  ({ requestId }) => (typeof requestId === "string" ? undefined : invalidField("requestId", "must be a string", requestId)),
  checkModel,
  ({ share = null }) =>
    share === null || (typeof share === "string" && share.length <= longestShare)
      ? undefined
      : invalidField("share", `must be null or a string of at most ${String(longestShare)} characters`, share),
  ({ priority = "interactive" }) =>
    priorities.includes(priority) ? undefined : invalidField("priority", `must be one of ${priorities.join(", ")}`, priority),
  checkPrompt,
  ({ maxTokens }) => wholeNumber("maxTokens", maxTokens, 0, largestCount),
  ({ minTokens }) => wholeNumber("minTokens", minTokens, 0, largestCount),
  checkStopTokens,
  ({ allowedTokens }, limits) =>
    allowedTokens === undefined ? undefined : checkTokenIds("allowedTokens", allowedTokens, mostAllowedTokens, limits),
  checkBannedSeries,
  ({ constraint }) => (constraint === undefined ? undefined : constraintRefusalOf(constraint)),
  ({ sampling }) => checkSampling(sampling),
  ({ sampling }) => checkSeed(sampling),
  ({ sampling }, limits) => checkLogitBias(sampling.logitBias, limits),
  ({ topLogprobs }) => (topLogprobs === null ? undefined : wholeNumber("topLogprobs", topLogprobs, 0, mostLogprobs)),
  checkScoredTokens,
  ({ promptLogprobs }) => (promptLogprobs === null ? undefined : wholeNumber("promptLogprobs", promptLogprobs, 0, mostLogprobs)),
  checkPromptScores,
  checkSpikes,
  ({ reportState = false }) =>
    typeof reportState === "boolean" ? undefined : invalidField("reportState", "must be true or false", reportState),
  stateRefusalOf,
  checkLength,
];

function checkLength({ prompt, maxTokens, resume }: RequestToCheck, { contextLength, state }: RequestLimits): ServiceFailure | undefined {
  const read = (state?.constant === true ? 0 : (resume?.tokens ?? 0)) + prompt.length;
  return read + maxTokens > contextLength ? contextLengthExceeded(read, maxTokens, contextLength) : undefined;
}

/** Scores of a prompt are one event, which has to fit into the isolate. */
function checkPromptScores({ prompt, promptLogprobs }: RequestToCheck): ServiceFailure | undefined {
  if (promptLogprobs === null || prompt.length * (promptLogprobs + 1) <= promptScoresLimit) return undefined;
  const tokens = Math.floor(promptScoresLimit / (promptLogprobs + 1));
  const rule = `with ${String(promptLogprobs)} alternatives a token may score prompts of ${String(tokens)} tokens`;
  return invalidField("promptLogprobs", rule, prompt.length);
}

function checkSpikes({ countSpikes = false }: RequestToCheck, { spikes = "off" }: RequestLimits): ServiceFailure | undefined {
  if (typeof countSpikes !== "boolean") return invalidField("countSpikes", "must be true or false", countSpikes);
  if (!countSpikes || spikes !== "off") return undefined;
  return invalidField("countSpikes", "must be false where the model's spiking mode is 'off'", countSpikes);
}

function checkPrompt({ prompt }: RequestToCheck, { vocabularySize }: RequestLimits): ServiceFailure | undefined {
  if (!(prompt instanceof Uint32Array)) return invalidField("prompt", "must be a Uint32Array of token ids", prompt);
  if (prompt.length === 0) return invalidField("prompt", "must hold at least one token id", "empty");
  const position = prompt.findIndex((id) => id >= vocabularySize);
  if (position < 0) return undefined;
  return invalidField(`prompt[${String(position)}]`, `must be below the vocabulary size ${String(vocabularySize)}`, prompt[position]);
}

function checkStopTokens({ stopTokens }: RequestToCheck, limits: RequestLimits): ServiceFailure | undefined {
  if (!Array.isArray(stopTokens)) return invalidField("stopTokens", "must be an array of token ids", stopTokens);
  if (stopTokens.length > mostStopTokens) return invalidField("stopTokens", `may hold ${String(mostStopTokens)} ids`, stopTokens);
  return firstFailure(stopTokens, (id, position) => tokenId(`stopTokens[${String(position)}]`, id, limits));
}

function checkBannedSeries({ bannedSeries = [] }: RequestToCheck, limits: RequestLimits): ServiceFailure | undefined {
  if (!Array.isArray(bannedSeries)) return invalidField("bannedSeries", "must be an array of series of token ids", bannedSeries);
  if (bannedSeries.length > mostBannedSeries)
    return invalidField("bannedSeries", `may hold ${String(mostBannedSeries)} series`, bannedSeries);
  return firstFailure(bannedSeries, (series, at) => checkTokenIds(`bannedSeries[${String(at)}]`, series, longestBannedSeries, limits));
}

function checkScoredTokens({ scoredTokens, topLogprobs }: RequestToCheck, limits: RequestLimits): ServiceFailure | undefined {
  if (scoredTokens === undefined) return undefined;
  const failure = checkTokenIds("scoredTokens", scoredTokens, mostScoredTokens, limits);
  if (failure !== undefined) return failure;
  if (new Set(scoredTokens).size < scoredTokens.length) return invalidField("scoredTokens", "must hold each id once", scoredTokens);
  return topLogprobs === null ? undefined : invalidField("topLogprobs", "must be null where there are 'scoredTokens'", topLogprobs);
}

function checkTokenIds(name: string, ids: unknown, most: number, limits: RequestLimits): ServiceFailure | undefined {
  if (!Array.isArray(ids) || ids.length === 0) return invalidField(name, "must be an array of at least one token id", ids);
  if (ids.length > most) return invalidField(name, `may hold ${String(most)} ids`, ids);
  return firstFailure(ids, (id, position) => tokenId(`${name}[${String(position)}]`, id, limits));
}

function checkSampling(sampling: SamplingParameters): ServiceFailure | undefined {
  // The type is only a promise: this came over RPC.
  if (typeof (sampling as unknown) !== "object" || (sampling as unknown) === null)
    return invalidField("sampling", "must be an object", sampling);
  return firstFailure(samplingRanges, ([name, low, high, kind]) => {
    const value = sampling[name];
    const inside = typeof value === "number" && Number.isFinite(value) && value <= high && (kind === "above" ? value > low : value >= low);
    if (inside && (kind !== "integer" || Number.isInteger(value))) return undefined;
    const range = `${kind === "above" ? "above" : "from"} ${String(low)} ${kind === "above" ? "and up to" : "to"} ${String(high)}`;
    return invalidField(`sampling.${name}`, `must be ${kind === "integer" ? "an integer" : "a number"} ${range}`, value);
  });
}

/** Both forms, as the contract has them. */
function checkSeed({ seed }: SamplingParameters): ServiceFailure | undefined {
  const isNumber = typeof seed === "number" && Number.isSafeInteger(seed) && seed >= 0;
  const isDigits = typeof seed === "string" && /^\d{1,20}$/.test(seed) && BigInt(seed) <= largestSeed;
  if (isNumber || isDigits) return undefined;
  const rule = `must be an integer from 0 to ${String(Number.MAX_SAFE_INTEGER)}, or the decimal digits of one up to ${String(largestSeed)}`;
  return invalidField("sampling.seed", rule, seed);
}

function checkLogitBias(logitBias: SamplingParameters["logitBias"], { vocabularySize }: RequestLimits): ServiceFailure | undefined {
  const name = "sampling.logitBias";
  if (!Array.isArray(logitBias)) return invalidField(name, "must be an array of pairs", logitBias);
  if (logitBias.length > mostLogitBiases) return invalidField(name, `may hold ${String(mostLogitBiases)} pairs`, logitBias);
  return firstFailure(logitBias as SamplingParameters["logitBias"], (pair: unknown, position) => {
    const at = `${name}[${String(position)}]`;
    if (!Array.isArray(pair) || pair.length !== 2) return invalidField(at, "must be a pair of token id and bias", pair);
    const [id, bias] = pair as [unknown, unknown];
    const failure = wholeNumber(`${at}[0]`, id, 0, vocabularySize - 1);
    if (failure !== undefined) return failure;
    const inside = typeof bias === "number" && bias >= -100 && bias <= 100;
    return inside ? undefined : invalidField(`${at}[1]`, "must be a number from -100 to 100", bias);
  });
}

function tokenId(name: string, id: unknown, { vocabularySize }: RequestLimits): ServiceFailure | undefined {
  return wholeNumber(name, id, 0, vocabularySize - 1);
}

function wholeNumber(name: string, value: unknown, low: number, high: number): ServiceFailure | undefined {
  if (typeof value === "number" && Number.isInteger(value) && value >= low && value <= high) return undefined;
  return invalidField(name, `must be an integer from ${String(low)} to ${String(high)}`, value);
}

function firstFailure<T>(
  values: readonly T[],
  check: (value: T, position: number) => ServiceFailure | undefined,
): ServiceFailure | undefined {
  for (const [position, value] of values.entries()) {
    const failure = check(value, position);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function checkModel({ model }: RequestToCheck, { id, digest }: RequestLimits): ServiceFailure | undefined {
  return model.id === id && model.digest === digest ? undefined : otherModel(model, { id, digest });
}
