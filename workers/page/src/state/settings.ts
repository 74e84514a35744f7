import type { ServedModel } from "../api/model.ts";
import type { NumberSetting, Settings } from "../api/chat-request.ts";

/** How a token is drawn is left to the model's own defaults; a small model is kept from repeating itself, and a long ramble is cut. */
export const defaultSettings: Settings = {
  system: "",
  temperature: null,
  topP: null,
  topK: null,
  minP: null,
  presencePenalty: null,
  frequencyPenalty: null,
  repetitionPenalty: 1.1,
  maxTokens: 512,
  seed: null,
  spikes: false,
};

/**
 * What this model can do of the settings: they are kept for every model, and one that was made for another must not make a request fail.
 * A limit that fills the whole context is no limit, and leaves no room for a prompt.
 */
export function settingsFor({ spikes, contextLength }: Pick<ServedModel, "spikes" | "contextLength">, settings: Settings): Settings {
  const { maxTokens } = settings;
  const unlimited = contextLength !== null && maxTokens !== null && maxTokens >= contextLength;
  return { ...settings, spikes: settings.spikes === true && spikes, maxTokens: unlimited ? null : maxTokens };
}

interface NumberRule {
  readonly setting: NumberSetting;
  readonly minimum: number;
  readonly maximum: number;
  readonly step: number;
}

/** The ranges of `SamplingParameters` in the contracts; the server has the last word. */
export const numberRules: readonly NumberRule[] = [
  { setting: "temperature", minimum: 0, maximum: 2, step: 0.1 },
  { setting: "topP", minimum: 0.01, maximum: 1, step: 0.01 },
  { setting: "topK", minimum: 0, maximum: 1000, step: 1 },
  { setting: "minP", minimum: 0, maximum: 1, step: 0.01 },
  { setting: "repetitionPenalty", minimum: 0.1, maximum: 2, step: 0.05 },
  { setting: "presencePenalty", minimum: -2, maximum: 2, step: 0.1 },
  { setting: "frequencyPenalty", minimum: -2, maximum: 2, step: 0.1 },
  { setting: "maxTokens", minimum: 1, maximum: 1_000_000, step: 1 },
  { setting: "seed", minimum: 0, maximum: 4_294_967_295, step: 1 },
];

/** What a person typed, as a setting: empty is null, anything else is brought into the rule's range; undefined where it is no number. */
export function parseNumberSetting(rule: NumberRule, typed: string): number | null | undefined {
  if (typed.trim() === "") return null;
  const value = Number(typed);
  if (!Number.isFinite(value)) return undefined;
  const inRange = Math.min(rule.maximum, Math.max(rule.minimum, value));
  return Number.isInteger(rule.step) ? Math.round(inRange) : inRange;
}
