/** The engine Worker's variables, as it goes by them. */
import { spikingModes, type SpikingMode } from "../contracts/spikes.ts";
import { oneOf, wholeNumber, type Variables } from "../settings.ts";

const bytesPerMebibyte = 1024 * 1024;
/** An isolate has 128 MB for everything; this leaves room for the JavaScript heap. */
const defaultMemoryLimitMebibytes = 121;
/** The address space of a 32-bit linear memory. */
const largestMemoryLimitMebibytes = 4095;
const mostEngineObjects = 1000;
/** At the 130 tokens a second that a small model reads, a quarter of an hour; half a mebibyte of token ids in each of engine and scheduler. */
const defaultRequestTokens = 131_072;
const mostRequestTokens = 2 ** 24;

export interface EngineSettings {
  readonly objects: number;
  readonly memoryLimitBytes: number;
  readonly requestTokens: number;
  readonly spikes: SpikingMode | undefined;
  readonly stepsAtOnce: number;
}

/** @throws ServiceError `configuration_invalid`. */
export function engineSettings(
  variables: Variables<"ENGINE_OBJECTS" | "MEMORY_LIMIT_MIB" | "REQUEST_TOKENS" | "SPIKES" | "STEPS_AT_ONCE">,
): EngineSettings {
  const mebibytes = wholeNumber(variables, "MEMORY_LIMIT_MIB", "MiB", defaultMemoryLimitMebibytes, {
    least: 1,
    most: largestMemoryLimitMebibytes,
  });
  return {
    objects: wholeNumber(variables, "ENGINE_OBJECTS", "objects", 1, { least: 1, most: mostEngineObjects }),
    memoryLimitBytes: mebibytes * bytesPerMebibyte,
    requestTokens: wholeNumber(variables, "REQUEST_TOKENS", "tokens", defaultRequestTokens, { least: 1, most: mostRequestTokens }),
    spikes: oneOf(variables, "SPIKES", spikingModes),
    stepsAtOnce: wholeNumber(variables, "STEPS_AT_ONCE", "steps", 0, { least: 0, most: mostEngineObjects }),
  };
}
