/** `npm start`: everything a fresh machine needs, then the stack until Ctrl-C. */
import { buildWebPage } from "./build-web-page.ts";
import { prepareModel } from "./models/prepare-model.ts";
import { reportFailure } from "./run.ts";
import { engineConfigurationsFor } from "./models/spiking-engine.ts";
import { onEnd } from "./lifetime.ts";
import { claimPort } from "./port.ts";
import { findPython } from "./python/python.ts";
import { startSettings } from "./settings.ts";
import { configurationsWith, startStack, type Stack } from "./stack.ts";
import { stagesBeside } from "./stages/configurations.ts";
import { gatewayVariables } from "./variables.ts";

const readyTimeoutMilliseconds = 180_000;

/** Set once the Workers are started; until then there is nothing to stop but what set-up runs, which ends with this process. */
let stack: Stack | undefined;

async function main(): Promise<void> {
  const { port, spikes } = startSettings();
  if (process.env.PYTHON !== undefined && process.env.PYTHON !== "") await findPython();
  const { variables, isOpen } = gatewayVariables(process.env);
  const claim = await claimPort(port);
  const stopping = new AbortController();
  onEnd(() => {
    stopping.abort();
    console.log("\nStopping …");
    if (stack === undefined) process.exit(0);
    void stack.stop();
  });
  const manifest = await prepareModel();
  await buildWebPage();

  const stages = stagesBeside(manifest);
  if (stages > 0) console.log(`${manifest.id} is too large for one isolate: ${String(stages)} Workers hold its layers beside the engine.`);
  const written = engineConfigurationsFor(spikes, manifest);
  console.log("Starting the Workers …");
  stack = await startStack({
    port,
    claim,
    configurations: configurationsWith(written),
    variables,
    onOutput: (text) => process.stdout.write(text),
  });
  try {
    await stack.untilReady(readyTimeoutMilliseconds);
    printUsage(stack.url, manifest.id, isOpen);
    await stack.ended;
    if (!stopping.signal.aborted) throw new Error("The Workers ended by themselves; their last messages are above.");
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  } finally {
    await stack.stop();
  }
}

function printUsage(url: string, model: string, isOpen: boolean): void {
  const key = isOpen ? "sk-local-development" : "sk-…";
  const rule = isOpen ? "any key is accepted on this machine; API_KEYS sets which ones are" : "one of those in API_KEYS";
  const body = JSON.stringify({ model, stream: true, temperature: 0.3, messages: [{ role: "user", content: "Why is the sky blue?" }] });
  console.log(`
  Chat:     ${url}/
  API:      ${url}/v1
  Model:    ${model}
  Key:      ${key}   (${rule})

  curl -N ${url}/v1/chat/completions -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -d '${body}'

  Ctrl-C stops everything.
`);
}

try {
  await main();
} catch (error) {
  reportFailure(error);
}
