/** `npm start`: everything a fresh machine needs, then the stack until Ctrl-C. */
import { buildPage } from "./build-page.ts";
import { prepareModel } from "./models/prepare-model.ts";
import { reportFailure } from "./run.ts";
import { configurationsFor } from "./models/spiking-engine.ts";
import { portFrom, startStack } from "./stack.ts";
import { gatewayVariables } from "./variables.ts";

const readyTimeoutMilliseconds = 180_000;

async function main(): Promise<void> {
  const port = portFrom(process.env.PORT);
  const { variables, isOpen } = gatewayVariables(process.env);
  const manifest = await prepareModel();
  await buildPage();

  const configurations = configurationsFor(process.env.SPIKES);
  console.log("Starting the Workers …");
  const stack = await startStack({
    port,
    ...(configurations === undefined ? {} : { configurations }),
    variables,
    onOutput: (text) => process.stdout.write(text),
  });
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) return;
      stopping.abort();
      console.log("\nStopping …");
      void stack.stop();
    });
  }

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
