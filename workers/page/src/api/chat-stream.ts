import { choiceFinishes, type ChoiceFinish } from "../../../contracts/finish.ts";
import type { Placement, SpikeMeasure, StateMeasure } from "./measures.ts";
import { FailureError, failureFromError, record } from "./failure.ts";

export type FinishReason = ChoiceFinish;

/** What one chunk says. */
export type ChatEvent =
  | { readonly type: "delta"; readonly text: string }
  | { readonly type: "spikes"; readonly measure: SpikeMeasure }
  | { readonly type: "state"; readonly measure: StateMeasure }
  /** Where the answer runs from here on. */
  | { readonly type: "placement"; readonly placement: Placement }
  | { readonly type: "finish"; readonly reason: FinishReason }
  | { readonly type: "usage"; readonly promptTokens: number; readonly completionTokens: number; readonly cachedTokens?: number };

/** One `chat.completion.chunk`; throws the failure that an error event carries. */
export function parseChunk(data: string): ChatEvent[] {
  const chunk = parseRecord(data);
  if (chunk["error"] !== undefined) throw new FailureError(failureFromError(chunk));
  const events: ChatEvent[] = [];
  const spikes = spikeMeasure(record(chunk["spikes"]) ?? record(record(chunk["usage"])?.["spikes"]));
  if (spikes !== undefined) events.push({ type: "spikes", measure: spikes });
  const state = stateMeasure(record(chunk["state"]) ?? record(record(chunk["usage"])?.["state"]));
  if (state !== undefined) events.push({ type: "state", measure: state });
  const placement = placementOf(record(chunk["placement"]));
  if (placement !== undefined) events.push({ type: "placement", placement });
  const choice = record(Array.isArray(chunk["choices"]) ? chunk["choices"][0] : undefined);
  const text = record(choice?.["delta"])?.["content"];
  if (typeof text === "string" && text !== "") events.push({ type: "delta", text });
  const reason = choice?.["finish_reason"];
  const finish = choiceFinishes.find((one) => one === reason);
  if (finish !== undefined) events.push({ type: "finish", reason: finish });
  const usage = record(chunk["usage"]);
  const promptTokens = usage?.["prompt_tokens"];
  const completionTokens = usage?.["completion_tokens"];
  const cachedTokens = record(usage?.["prompt_tokens_details"])?.["cached_tokens"];
  if (typeof promptTokens === "number" && typeof completionTokens === "number")
    events.push({ type: "usage", promptTokens, completionTokens, ...(typeof cachedTokens === "number" ? { cachedTokens } : {}) });
  return events;
}

/** Of a chunk's `spikes` or the usage's, which has layers as well. */
function spikeMeasure(spikes: Record<string, unknown> | undefined): SpikeMeasure | undefined {
  const silentShare = spikes?.["silent_share"];
  const meanSpikes = spikes?.["mean_spikes"];
  if (typeof silentShare !== "number" || typeof meanSpikes !== "number") return undefined;
  const layers: unknown = spikes?.["layers"];
  const shares = Array.isArray(layers) ? layers.map((layer: unknown) => record(layer)?.["silent_share"]) : [];
  return { silentShare, meanSpikes, layers: shares.length > 0 && shares.every((share) => typeof share === "number") ? shares : null };
}

/** Of a chunk's `state` or the usage's. */
function stateMeasure(state: Record<string, unknown> | undefined): StateMeasure | undefined {
  const tokens = state?.["tokens"];
  const bytes = state?.["bytes"];
  return typeof tokens === "number" && typeof bytes === "number" ? { tokens, bytes } : undefined;
}

function placementOf(placement: Record<string, unknown> | undefined): Placement | undefined {
  const { backend, kind, from_token: fromToken } = placement ?? {};
  if (typeof backend !== "string" || typeof kind !== "string" || typeof fromToken !== "number") return undefined;
  return { backend, onEngine: kind === "engine", fromToken };
}

function parseRecord(data: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw new FailureError({ kind: "protocol" }, { cause });
  }
  const chunk = record(value);
  if (chunk === undefined) throw new FailureError({ kind: "protocol" });
  return chunk;
}
