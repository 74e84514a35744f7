/** `spikingbrain snapshot`: what a state file says of itself, and whether a model takes it. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { Command } from "commander";
import { greedyParameters } from "../../workers/contracts/engine.ts";
import { engineErrorCode } from "../../workers/engine/engine-surface.ts";
import { loadEngine } from "./engine-package.ts";
import { loadOptions, modelOption, modelPath, packageOption, spikesOption, type EngineOptions } from "./options.ts";
import { exportCommand, importCommand, openCommand } from "./snapshot-session.ts";
import { readStateFile } from "./state-file.ts";

const inspectCommand = new Command("inspect")
  .description("Print a state file's header as JSON: tokens, digests, types, bytes of its head and of its pages.")
  .argument("<file>", "state file")
  .action(async (file: string) => {
    console.log(JSON.stringify(await readStateFile(file)));
  });

const verifyCommand = new Command("verify")
  .description("Load a state file into a model and print as JSON whether it holds; the status is 1 where it does not.")
  .argument("<file>", "state file")
  .addOption(modelOption())
  .addOption(spikesOption())
  .addOption(packageOption())
  .action(verify);

export const snapshotCommand = new Command("snapshot")
  .description("Look into saved conversations.")
  .addCommand(inspectCommand)
  .addCommand(verifyCommand)
  .addCommand(exportCommand)
  .addCommand(importCommand)
  .addCommand(openCommand);

async function verify(file: string, options: Omit<EngineOptions, "kv">): Promise<void> {
  const { keysAndValues, modelDigest } = await readStateFile(file);
  const path = await modelPath(options);
  const engine = await loadEngine(path, {
    ...loadOptions({ ...options, kv: keysAndValues }),
    ...(modelDigest === null ? {} : { modelDigest: await sha256(path) }),
  });
  const sequence = engine.open(JSON.stringify(greedyParameters));
  try {
    engine.beginRestore(sequence, new Uint32Array());
    for await (const chunk of createReadStream(file)) engine.pushState(sequence, chunk as Buffer);
    const tokens = engine.endRestore(sequence);
    console.log(JSON.stringify({ holds: true, tokens, stateBytes: engine.sequenceBytes(sequence) }));
  } catch (error) {
    if (engineErrorCode(error) !== "invalid_state") throw error;
    console.log(JSON.stringify({ holds: false, reason: (error as Error).message }));
    process.exitCode = 1;
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
