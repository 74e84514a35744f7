/** The whole local stack over a model in stages, with ways of a given length between them. */
import { readFileSync, writeFileSync } from "node:fs";
import { engineConfigurationsFor } from "../../../infra/local/models/spiking-engine.ts";
import { inRepository } from "../../../infra/local/paths.ts";
import { configurationsWith, startStack } from "../../../infra/local/stack.ts";
import { freePort } from "../../support/free-port.ts";
import { whenEnded } from "../ending.ts";

const readyTimeoutMilliseconds = 300_000;

export interface StagedStackOptions {
  readonly stages: number;
  readonly stepsAtOnce: number;
  readonly hopMilliseconds: number;
  /** Which stage ends, and after how many passes; none where it is left out. */
  readonly ends?: { readonly stage: number; readonly afterPasses: number };
}

export async function withStagedStack<T>(options: StagedStackOptions, use: (url: string, output: () => string) => Promise<T>): Promise<T> {
  const configurations = configurationsWith(engineConfigurationsFor(undefined, options.stages));
  for (const path of configurations.filter((one) => one.startsWith("dist/stages/"))) {
    const text = readFileSync(inRepository(path), "utf8");
    writeFileSync(inRepository(path), changed(path, text, options));
  }
  let output = "";
  const stack = await startStack({ port: await freePort(), configurations, onOutput: (text) => (output += text) });
  const forget = whenEnded(() => stack.stop());
  try {
    await stack.untilReady(readyTimeoutMilliseconds);
    return await use(stack.url, () => output);
  } finally {
    forget();
    await stack.stop();
  }
}

function changed(path: string, text: string, { stepsAtOnce, hopMilliseconds, ends }: StagedStackOptions): string {
  const stage = /stage-(\d+)\.toml$/.exec(path)?.[1];
  if (stage === undefined) return text.replace('STEPS_AT_ONCE = "0"', `STEPS_AT_ONCE = "${String(stepsAtOnce)}"`);
  const endAfter = ends?.stage === Number(stage) ? ends.afterPasses : 0;
  return text
    .replace("../../workers/stage/index.ts", "../../test/bench/worker/mortal-stage.ts")
    .replace("[vars]", `[vars]\nHOP_MILLISECONDS = "${String(hopMilliseconds)}"\nEND_AFTER = "${String(endAfter)}"`);
}
