import type { GrammarService } from "../../../workers/contracts/constraint.ts";
import { testModel } from "./requests.ts";
/** A scheduler over the fake engine, with a clock that only the work and the waiting move. */
import { defaultLimits, type SchedulerLimits } from "../../../workers/engine/scheduler-limits.ts";
import { Scheduler } from "../../../workers/engine/scheduler.ts";
import { FakeEngine, nextToken, type FakeOptions } from "./fake-engine.ts";

export interface Bench {
  readonly engine: FakeEngine;
  readonly scheduler: Scheduler;
  readonly defects: unknown[];
  /** When the scheduler asked for more time, milliseconds of its clock. */
  readonly renewals: number[];
  /** At each iteration of the event loop that the scheduler waited for, how many passes it had computed. */
  readonly iterations: number[];
  /** Resolves when the scheduler has nothing left to do. */
  readonly settled: () => Promise<void>;
}

export interface BenchOptions extends FakeOptions {
  readonly limits?: Partial<SchedulerLimits>;
  readonly contextLength?: number;
  readonly grammar?: GrammarService;
  readonly constantState?: boolean;
  /** What a step takes, milliseconds of the scheduler's clock. */
  readonly stepMilliseconds?: number;
  /** And each token in it. */
  readonly tokenMilliseconds?: number;
  /** What others have to do in each iteration that the scheduler gives the event loop, milliseconds; nothing once there is no more of it. */
  readonly iterationMilliseconds?: readonly number[];
}

export function bench(options: BenchOptions = {}): Bench {
  const engine = new FakeEngine(options);
  const defects: unknown[] = [];
  const renewals: number[] = [];
  const iterations: number[] = [];
  const loops: Promise<unknown>[] = [];
  let clock = 0;
  const { stepMilliseconds = 0, tokenMilliseconds = 0 } = options;
  engine.onStep = (plan) => {
    const tokens = plan.reduce((sum, count, at) => sum + (at % 2 === 1 ? count : 0), 0);
    clock += stepMilliseconds + tokens * tokenMilliseconds;
  };
  const nextIteration = (): Promise<void> =>
    new Promise((resolve) => {
      setImmediate(resolve);
    });
  const scheduler = new Scheduler(
    engine,
    {
      ...testModel,
      vocabularySize: engine.vocabularySize,
      contextLength: options.contextLength ?? 10_000,
      state: { constant: options.constantState ?? false },
    },
    {
      waitUntil: (promise) => loops.push(promise),
      now: () => clock,
      yield: () => {
        clock += options.iterationMilliseconds?.[iterations.length] ?? 0;
        iterations.push(engine.plans.length);
        return nextIteration();
      },
      sleep: async (milliseconds) => {
        clock += milliseconds;
        await nextIteration();
      },
      grammar: options.grammar,
      renew: () => renewals.push(clock),
      onDefect: (error) => defects.push(error),
    },
    { ...defaultLimits, ...options.limits },
  );
  return {
    engine,
    scheduler,
    defects,
    renewals,
    iterations,
    settled: async () => {
      await Promise.all(loops);
    },
  };
}

export function expectedTokens(prompt: readonly number[], count: number, vocabularySize = 1000): number[] {
  const history = [...prompt];
  for (let index = 0; index < count; index += 1) history.push(nextToken(history, vocabularySize));
  return history.slice(prompt.length);
}

export const longPrompt = (length: number, seed = 0): number[] => Array.from({ length }, (_, index) => (index * 7 + seed) % 1000);
