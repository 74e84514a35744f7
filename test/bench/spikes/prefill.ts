/** What reading a prompt costs: sequences of several engines alternately, step by step as the engine Worker cuts long prompts. */
import { greedyParameters } from "../../../workers/contracts/engine.ts";
import type { Engine } from "../../../workers/engine/engine-surface.ts";
import { defaultLimits } from "../../../workers/engine/scheduler-limits.ts";
import { alternately } from "../alternately.ts";
import { timed } from "../timed.ts";

export interface Reader {
  readonly name: string;
  readonly engine: Engine;
}

/** Processor seconds of each reader. Who goes first changes every step, and in another round begins with the other. */
export function prefillAlternately(readers: readonly Reader[], prompt: Uint32Array, round: number): ReadonlyMap<string, number> {
  const open = readers.map(({ name, engine }) => {
    const sequence = engine.open(JSON.stringify(greedyParameters));
    engine.feed(sequence, prompt);
    return { name, engine, sequence };
  });
  const seconds = new Map<string, number>();
  for (let first = 0, step = round; first < prompt.length; first += defaultLimits.prefillTokensPerStep, step += 1) {
    const count = Math.min(defaultLimits.prefillTokensPerStep, prompt.length - first);
    for (const { name, engine, sequence } of alternately(open, step)) {
      const { processor } = timed(() => {
        engine.step(Uint32Array.of(sequence, count));
      });
      seconds.set(name, (seconds.get(name) ?? 0) + processor);
    }
  }
  for (const { engine, sequence } of open) engine.close(sequence);
  return seconds;
}
