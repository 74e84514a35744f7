/** Options that several commands share, each checked: a message names the option, the rule and the value. */
import { InvalidArgumentError, Option } from "commander";
import { locateModel } from "../local/models/source.ts";
import { spikingModes, type SpikingMode } from "../../workers/contracts/spikes.ts";
import { packageNames, type LoadOptions, type PackageName } from "./package-surface.ts";
import { progress } from "./progress.ts";

export interface EngineOptions {
  readonly model?: string;
  readonly kv: "int8" | "f32";
  readonly package?: PackageName;
  readonly spikes?: SpikingMode;
}

/** The address space of a 32-bit linear memory, less the WebAssembly page that cannot be had. */
const memoryLimitBytes = 2 ** 32 - 65_536;

export const modelOption = () => new Option("-m, --model <file>", "GGUF to load (default: the built-in model, fetched once)");
export const kvOption = (fallback: "int8" | "f32") =>
  new Option("--kv <type>", "how softmax keys and values are kept").choices(["f32", "int8"]).default(fallback);
export const spikesOption = () =>
  new Option("--spikes <mode>", "which inputs of products spike (default: what the model file says)").choices([...spikingModes]);
export const packageOption = () =>
  new Option("--package <name>", "build of the engine (default: the fastest this host runs)").choices([...packageNames]);

/** A parser for commander: a number in a range, whole where asked. */
export function numberIn(minimum: number, maximum: number, whole = false): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && value >= minimum && value <= maximum && (!whole || Number.isInteger(value))) return value;
    throw new InvalidArgumentError(`It must be ${whole ? "an integer" : "a number"} from ${String(minimum)} to ${String(maximum)}.`);
  };
}

/** `1,2,3` as token ids. */
export function tokenIds(text: string): Uint32Array {
  const ids = text.split(",").map((part) => (/^\s*\d{1,10}\s*$/.test(part) ? Number(part) : NaN));
  const wrong = ids.findIndex((id) => !(id < 2 ** 32));
  if (wrong >= 0)
    throw new InvalidArgumentError(
      `Item ${String(wrong + 1)} must be a token id (an integer from 0); it is "${text.split(",")[wrong] ?? ""}".`,
    );
  return Uint32Array.from(ids);
}

export async function modelPath({ model }: Pick<EngineOptions, "model">): Promise<string> {
  return model ?? (await locateModel()).path;
}

export function loadOptions(options: EngineOptions): LoadOptions {
  return {
    kvType: options.kv,
    memoryLimitBytes,
    onProgress: progress("loading"),
    ...(options.package === undefined ? {} : { package: options.package }),
    ...(options.spikes === undefined ? {} : { spikes: options.spikes }),
  };
}
