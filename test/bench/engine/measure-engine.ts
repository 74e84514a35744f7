/** What is measured of our engine, wherever it runs: through the surface that the engine Worker uses (wasm/API.md). */
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { Engine } from "../../../workers/engine/engine-surface.ts";
import { defaultLimits } from "../../../workers/engine/scheduler-limits.ts";
import { planAlone, toPlan } from "../../../workers/engine/step-plan.ts";
import type { Measurement, Task } from "./participant.ts";

/** Seconds of synchronous work; those of the processor are null where they cannot be told. */
type Timer = (work: () => void) => { readonly wall: number; readonly processor: number | null };

const greedy = JSON.stringify(greedyParameters);

export function measureEngine(engine: Engine, { prompt, decode, sequences = 1 }: Task, timed: Timer): Measurement {
  const sequence = engine.open(greedy);
  const all = [sequence];
  try {
    engine.feed(sequence, Uint32Array.from(prompt));
    const prefill = timed(() => {
      for (let position = 0; position < prompt.length;) {
        const candidate = { handle: sequence, position, pending: prompt.length - position };
        engine.step(toPlan([candidate], planAlone([candidate], defaultLimits.prefillTokensPerStep)));
        position = prompt.length - engine.pending(sequence);
      }
    });
    const tokens: number[] = [];
    while (all.length < sequences) all.push(engine.fork(sequence));
    const plan = Uint32Array.from(all.flatMap((handle) => [handle, 1]));
    const decoding = timed(() => {
      for (let count = 0; count < decode; count += 1) {
        const [first = NaN] = all.map((handle) => (JSON.parse(engine.sample(handle)) as { readonly id: number }).id);
        tokens.push(first);
        engine.step(plan);
      }
    });
    return {
      prefillSeconds: prefill.wall,
      decodeSeconds: decoding.wall,
      prefillProcessorSeconds: prefill.processor,
      decodeProcessorSeconds: decoding.processor,
      tokens,
    };
  } finally {
    for (const handle of all) engine.close(handle);
  }
}
