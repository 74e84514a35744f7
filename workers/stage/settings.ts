/** The stage Worker's bindings and variables. One Worker is made of this source for each stage, with another number. */
import { spikingModes, type SpikingMode } from "../contracts/spikes.ts";
import { oneOf, wholeNumber, type Variables } from "../settings.ts";
import type { StageObject } from "./index.ts";

export interface StageEnvironment {
  /** Static assets: `dist/engine`, see workers/contracts/model-files.ts. */
  readonly MODEL_FILES: Fetcher;
  readonly STAGE_OBJECT: DurableObjectNamespace<StageObject>;
  /** Which of the manifest's stages it is; the engine Worker is stage 0. "1" if not set. */
  readonly STAGE?: string;
  /** Bound of the engine's linear memory in MiB; "121" if not set. */
  readonly MEMORY_LIMIT_MIB?: string;
  /** Which inputs of the model's products spike, as the engine Worker has it; the model file's own wish if not set. */
  readonly SPIKES?: string;
}

const bytesPerMebibyte = 1024 * 1024;
const defaultMemoryLimitMebibytes = 121;
const largestMemoryLimitMebibytes = 4095;
const mostStages = 1000;

export interface StageSettings {
  readonly stage: number;
  readonly memoryLimitBytes: number;
  readonly spikes: SpikingMode | undefined;
}

/** @throws ServiceError `configuration_invalid`. */
export function stageSettings(variables: Variables<"STAGE" | "MEMORY_LIMIT_MIB" | "SPIKES">): StageSettings {
  const bounds = { least: 1, most: largestMemoryLimitMebibytes };
  return {
    stage: wholeNumber(variables, "STAGE", "stages", 1, { least: 1, most: mostStages }),
    memoryLimitBytes: wholeNumber(variables, "MEMORY_LIMIT_MIB", "MiB", defaultMemoryLimitMebibytes, bounds) * bytesPerMebibyte,
    spikes: oneOf(variables, "SPIKES", spikingModes),
  };
}
