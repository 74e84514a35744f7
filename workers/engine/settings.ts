/** The engine Worker's bindings and variables, variables checked once. */
import { spikingModes, type SpikingMode } from "../contracts/spikes.ts";
import type { EngineObject } from "./engine-object.ts";

export interface EngineEnvironment {
  /** Static assets: `dist/engine`, see workers/contracts/model-files.ts. */
  readonly MODEL_FILES: Fetcher;
  readonly ENGINE_OBJECT: DurableObjectNamespace<EngineObject>;
  /** How many engine objects share the load; "1" if not set. */
  readonly ENGINE_OBJECTS?: string;
  /** Bound of the engine's linear memory in MiB; "121" if not set. */
  readonly MEMORY_LIMIT_MIB?: string;
  /** Most tokens of one request, prompt and completion, where the model's context has no end; "131072" if not set. */
  readonly REQUEST_TOKENS?: string;
  /** Which inputs of the model's products spike: `off`, `paper` or `released`; the model file's own wish if not set. */
  readonly SPIKES?: string;
}

const bytesPerMebibyte = 1024 * 1024;
/** An isolate has 128 MB for everything; this leaves room for the JavaScript heap. */
const defaultMemoryLimitMebibytes = 121;
/** The address space of a 32-bit linear memory. */
const largestMemoryLimitMebibytes = 4095;
const mostEngineObjects = 1000;
/** At the 130 tokens a second that a small model reads, a quarter of an hour; half a mebibyte of token ids in each of engine and scheduler. */
const defaultRequestTokens = 131_072;
const mostRequestTokens = 2 ** 24;

export function engineObjects(environment: EngineEnvironment): number {
  return integer("ENGINE_OBJECTS", environment.ENGINE_OBJECTS, 1, mostEngineObjects);
}

export function memoryLimitBytes(environment: EngineEnvironment): number {
  return (
    integer("MEMORY_LIMIT_MIB", environment.MEMORY_LIMIT_MIB, defaultMemoryLimitMebibytes, largestMemoryLimitMebibytes) * bytesPerMebibyte
  );
}

export function requestTokens(environment: EngineEnvironment): number {
  return integer("REQUEST_TOKENS", environment.REQUEST_TOKENS, defaultRequestTokens, mostRequestTokens);
}

export function spikingMode({ SPIKES: text }: EngineEnvironment): SpikingMode | undefined {
  if (text === undefined || text === "") return undefined;
  const mode = spikingModes.find((name) => name === text);
  if (mode === undefined) throw new Error(`SPIKES must be one of ${spikingModes.join(", ")}; it is "${text}".`);
  return mode;
}

function integer(name: string, text: string | undefined, fallback: number, largest: number): number {
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > largest) {
    throw new Error(`${name} must be an integer from 1 to ${String(largest)}; it is "${text}".`);
  }
  return value;
}
