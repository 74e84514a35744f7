/** The local stack with ways around the gateway (worker/index.ts), over the real engine or over one that costs next to nothing. */
import { preparedModel } from "../../infra/local/models/prepare-model.ts";
import { engineConfigurationsFor } from "../../infra/local/models/spiking-engine.ts";
import { configurationsWith, startStack } from "../../infra/local/stack.ts";
import type { StagedModel } from "../../infra/local/stages/configurations.ts";
import { whenEnded } from "./ending.ts";
import { freePort } from "../../infra/local/free-port.ts";

/** The real one over as many Workers as the model needs, as in `npm start`. */
const engines = {
  real: (model: StagedModel) => engineConfigurationsFor(undefined, model),
  counting: () => ({ engine: "test/bench/worker/counting-engine.toml" }),
} as const;

/** Room for a slow machine to load the model. */
const readyTimeoutMilliseconds = 180_000;

/** Of every Worker of the stack, by default for the model that was prepared last. */
export function benchConfigurations(engine: keyof typeof engines, model = preparedModel()): readonly string[] {
  return configurationsWith({ gateway: "test/bench/worker/wrangler.toml", ...engines[engine](model) });
}

/** Runs `use` with the address of a ready stack, and ends the stack whatever happens. */
export async function withStack<T>(engine: keyof typeof engines, use: (url: string) => Promise<T>): Promise<T> {
  const stack = await startStack({
    port: await freePort(),
    configurations: benchConfigurations(engine),
  });
  const forget = whenEnded(() => stack.stop());
  try {
    await stack.untilReady(readyTimeoutMilliseconds);
    return await use(stack.url);
  } finally {
    forget();
    await stack.stop();
  }
}
