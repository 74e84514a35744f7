/** `npx spikingbrain`: the engine without Workers. */
import { Command } from "commander";
import { generateCommand } from "./generate.ts";
import { inspectCommand } from "./inspect.ts";
import { logitsCommand } from "./logits.ts";
import { serveCommand } from "./serve.ts";
import { snapshotCommand } from "./snapshot.ts";

const program = new Command("spikingbrain")
  .description("The SpikingBrain engine in Node: the same WebAssembly that answers at the edge.")
  .addCommand(generateCommand)
  .addCommand(logitsCommand)
  .addCommand(inspectCommand)
  .addCommand(snapshotCommand)
  .addCommand(serveCommand)
  .showHelpAfterError();

try {
  await program.parseAsync();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
