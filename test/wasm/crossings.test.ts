/** How often a decoded token passes the border between JavaScript and WebAssembly. */
import { readFileSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { inRepository } from "../../infra/local/paths.ts";
import { goldenFile, parameters } from "./packages.ts";

it("a decoded token takes four calls into the engine, a further sequence two, and the engine calls nothing", async () => {
  const calls: string[] = [];
  const counted = (direction: string, functions: object): object =>
    Object.fromEntries(
      Object.entries(functions).map(([name, value]: [string, unknown]) => [
        name,
        typeof value !== "function"
          ? value
          : (...given: unknown[]): unknown => {
              calls.push(`${direction} ${name}`);
              return Reflect.apply(value, undefined, given) as unknown;
            },
      ]),
    );
  const web = (
    globalThis as unknown as { WebAssembly: { Instance: new (module: object, imports: Record<string, object>) => { exports: object } } }
  ).WebAssembly;
  const { Instance } = web;
  class Counted {
    readonly exports: object;

    constructor(module: object, imports: Record<string, object>) {
      const wrapped = Object.fromEntries(Object.entries(imports).map(([name, functions]) => [name, counted("out", functions)]));
      this.exports = counted("in", new Instance(module, wrapped).exports);
    }
  }
  // An instance of its own: the other tests' is not counted.
  vi.resetModules();
  const { ModelLoader, initSync } = await import("../../wasm/pkg/relaxed/spikingbrain.js");
  web.Instance = Counted;
  try {
    initSync({ module: readFileSync(inRepository("wasm/pkg/relaxed/spikingbrain_bg.wasm")) });
  } finally {
    web.Instance = Instance;
  }
  const loader = new ModelLoader(JSON.stringify({ kvType: "int8" }));
  loader.push(goldenFile("llama-q4_1.gguf"));
  const engine = loader.finish();
  const sequence = engine.open(parameters());
  engine.feed(sequence, Uint32Array.of(1, 2, 3));
  engine.step(Uint32Array.of(sequence, 3));
  const all = [sequence, ...Array.from({ length: 3 }, () => engine.fork(sequence))];
  const of = (some: readonly number[]): readonly string[] => {
    calls.length = 0;
    for (const one of some) engine.sample(one);
    engine.step(Uint32Array.from(some.flatMap((one) => [one, 1])));
    return [...calls];
  };
  const choice = ["in engine_sample", "in __wbindgen_free"];
  const pass = ["in __wbindgen_malloc", "in engine_step"];
  expect(of([sequence])).toEqual([...choice, ...pass]);
  expect(of(all)).toEqual([...all.flatMap(() => choice), ...pass]);
  engine.free();
});
