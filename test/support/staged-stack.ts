/** The whole local stack over a model in stages, with ways of a given length between them, under the memory that Cloudflare gives an isolate. */
import { readFileSync } from "node:fs";
import { inRepository } from "../../infra/local/paths.ts";
import { configurationsWith, startStack, type Stack } from "../../infra/local/stack.ts";
import { writeStageConfigurations } from "../../infra/local/stages/configurations.ts";
import type { ModelManifest } from "../../workers/contracts/model-files.ts";
import { freePort } from "../../infra/local/free-port.ts";

const readyTimeoutMilliseconds = 300_000;
/** What the local runtime does not enforce by itself: 1,936 WebAssembly pages are 121 MiB of linear memory. */
export const isolateMemory = { MINIFLARE_WORKERD_V8_FLAGS: "--wasm-max-mem-pages=1936" } as const;

export interface StagedStackOptions {
  readonly stepsAtOnce: number;
  readonly hopMilliseconds: number;
  /** Folder in `dist` of the model's files and plan; `engine` unless given. */
  readonly folder?: string;
  /** Folder that objects, R2 and KV are kept in; wrangler's own unless given. */
  readonly persistTo?: string;
  /** Which stage ends, and after how many passes, as often as there are numbers; none where it is left out. */
  readonly ends?: { readonly stage: number; readonly afterPasses: readonly number[] };
}

export interface StagedStack {
  readonly url: string;
  /** A line of the log for each time that the engine has found a stage gone so far. */
  stagesLost(): readonly string[];
  stop(): Promise<void>;
}

export async function startStagedStack(options: StagedStackOptions): Promise<StagedStack> {
  const { folder = "engine" } = options;
  const model = JSON.parse(readFileSync(inRepository("dist", folder, "model/manifest.json"), "utf8")) as ModelManifest;
  const change = (text: string, stage: number): string => changed(text, stage, options);
  const configurations = configurationsWith(writeStageConfigurations(model, { files: `dist/${folder}`, change }));
  let output = "";
  const { persistTo } = options;
  const stack: Stack = await startStack({
    port: await freePort(),
    configurations,
    environment: isolateMemory,
    ...(persistTo === undefined ? {} : { persistTo }),
    onOutput: (text) => (output += text),
  });
  try {
    await stack.untilReady(readyTimeoutMilliseconds);
  } catch (error) {
    await stack.stop();
    throw new Error(output, { cause: error });
  }
  return { url: stack.url, stagesLost: () => output.split("\n").filter((line) => line.includes('"stage_lost"')), stop: () => stack.stop() };
}

function changed(text: string, stage: number, { stepsAtOnce, hopMilliseconds, ends }: StagedStackOptions): string {
  if (stage === 0) return text.replace('STEPS_AT_ONCE = "0"', `STEPS_AT_ONCE = "${String(stepsAtOnce)}"`);
  const endAfter = ends?.stage === stage ? ends.afterPasses.join(",") : "";
  return text
    .replace("../../../workers/stage/index.ts", "../../../test/bench/worker/mortal-stage.ts")
    .replace("[vars]", `[vars]\nHOP_MILLISECONDS = "${String(hopMilliseconds)}"\nEND_AFTER = "${endAfter}"`);
}
