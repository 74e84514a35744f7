/** Our engine in Node from nothing to its first token. Arguments: package, GGUF. See child-participant.ts. */
import { instantiate } from "../../../infra/node/engine-package.ts";
import { packageNames } from "../../../infra/node/package-surface.ts";
import { pushFile } from "../../../infra/node/weights-file.ts";
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { EngineDescription } from "../../../workers/engine/engine-surface.ts";
import { firstToken, idle, part, promptToken, type StartMeasurement } from "./measurement.ts";

const [given, path] = process.argv.slice(2);
const name = packageNames.find((one) => one === given);
if (name === undefined || path === undefined) throw new Error("usage: engine-child.ts PACKAGE MODEL.gguf");
await idle();
const [instantiated, { ModelLoader }] = await part("instantiate", () => instantiate(name));
const [loaded, engine] = await part("load", async () => {
  const loader = new ModelLoader(JSON.stringify({ kvType: "int8", memoryLimitBytes: 2 ** 30 }));
  await pushFile(path, loader);
  return loader.finish();
});
const [first] = await part(firstToken, () => {
  const sequence = engine.open(JSON.stringify(greedyParameters));
  engine.feed(sequence, Uint32Array.of(promptToken));
  engine.step(Uint32Array.of(sequence, 1));
  return engine.sample(sequence);
});
const { kernel } = JSON.parse(engine.describe()) as EngineDescription;
const measured: StartMeasurement = {
  description: `kernel ${kernel}, Node ${process.versions.node}, one thread; the modules of JavaScript are loaded before`,
  parts: [instantiated, loaded, first],
};
console.log(JSON.stringify(measured));
