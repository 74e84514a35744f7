/** `node test/golden/served-check.ts MODEL.gguf NAME`: whether the engine in Node gives the golden tokens of that model (`served.py`); exit status 1 where not. */
import { readFileSync } from "node:fs";
import { greedyParameters } from "../../workers/contracts/engine.ts";
import { inRepository } from "../../infra/local/paths.ts";
import { reportFailure } from "../../infra/local/run.ts";
import { loadEngine } from "../../infra/node/engine-package.ts";

interface Vector {
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
}

try {
  const [model, name] = process.argv.slice(2);
  if (model === undefined || name === undefined) throw new Error("usage: served-check.ts MODEL.gguf NAME");
  const vectors = JSON.parse(readFileSync(inRepository(`test/golden/served/${name}.json`), "utf8")) as readonly Vector[];
  const engine = await loadEngine(model, { kvType: "f32", memoryLimitBytes: 2 ** 32 - 65_536 });
  for (const { prompt, tokens } of vectors) {
    const sequence = engine.open(JSON.stringify(greedyParameters));
    engine.feed(sequence, Uint32Array.from(prompt));
    const begin = performance.now();
    engine.step(Uint32Array.of(sequence, prompt.length - 1));
    const read = performance.now();
    const found = tokens.map(() => {
      engine.step(Uint32Array.of(sequence, engine.pending(sequence)));
      return (JSON.parse(engine.sample(sequence)) as { readonly id: number }).id;
    });
    const [prefill, decode] = [(prompt.length - 1) / (read - begin), tokens.length / (performance.now() - read)];
    engine.close(sequence);
    const rates = `read ${(1000 * prefill).toFixed(1)} tokens/s, wrote ${(1000 * decode).toFixed(1)} tokens/s`;
    if (String(found) !== String(tokens))
      throw new Error(`The prompt of ${String(prompt.length)} tokens must be continued by ${String(tokens)}; the engine gives ${String(found)}.`);
    console.log(`${String(prompt.length)} tokens: the golden ones; ${rates}`);
  }
} catch (error) {
  reportFailure(error);
}
