/** A model whose parts lie in stages, all in this process: what an engine object and its stages' Workers do, without the Workers. */
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import type { EngineLoad, GenerateRequest, GenerationBackend, ModelDescription } from "../../../workers/contracts/engine.ts";
import { submitWithState } from "../../../workers/contracts/request/open-state.ts";
import type { Cut, StageCalls } from "../../../workers/contracts/stages.ts";
import type { ComputingEngine, LoaderOptions, PartEngine } from "../../../workers/engine/engine-surface.ts";
import { describeModel } from "../../../workers/engine/described-model.ts";
import { Scheduler } from "../../../workers/engine/scheduler.ts";
import { StageEngine } from "../../../workers/engine/stages/stage-engine.ts";
import { StagedEngine } from "../../../workers/engine/stages/staged-engine.ts";
import { pause } from "../../../workers/waiting/within.ts";

/** Loads a model, or a part of it. */
export type LoadPart = (options?: Pick<LoaderOptions, "cut" | "modelDigest" | "tokenizerDigest">) => PartEngine;

/** What states belong to. */
export const digests = { modelDigest: "2".repeat(64), tokenizerDigest: "3".repeat(64) } as const;
const requestTokens = 1000;

/** A scheduler over an engine, as an engine object has it. */
export class TestedBackend implements GenerationBackend {
  readonly #engine: ComputingEngine;
  readonly #scheduler: Scheduler;
  readonly #description: ModelDescription;

  constructor(engine: ComputingEngine) {
    const form = { layers: [], window: 7, keptTokens: 0, learnedSinks: 0, salientTokens: null, kvHeads: 2, headDim: 4 };
    const manifest = { id: "tiny", sha256: digests.modelDigest, tokenizerSha256: digests.tokenizerDigest, form };
    const { description } = describeModel(engine, manifest, requestTokens);
    const host = {
      waitUntil: () => undefined,
      now: Date.now,
      yield: () => pause(0),
      sleep: pause,
      renew: () => undefined,
      onDefect: failed,
    };
    this.#engine = engine;
    this.#description = description;
    this.#scheduler = new Scheduler(engine, description, host);
  }

  models(): Promise<Outcome<readonly ModelDescription[]>> {
    return Promise.resolve({ ok: true, value: [this.#description] });
  }

  ready(): Promise<Outcome<null>> {
    return Promise.resolve({ ok: true, value: null });
  }

  load(): Promise<EngineLoad> {
    const { running, waiting, generatedTokens } = this.#scheduler;
    return Promise.resolve({ loaded: true, running, waiting, freeStateBytes: this.#engine.freeStateBytes(), generatedTokens });
  }

  generate(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    return submitWithState(this.#scheduler, request);
  }
}

export interface Stages {
  readonly engine: StagedEngine;
  /** As when its isolate ends, or its object alone: calls that are on their way fail, and what it had is gone or nobody's. */
  kill(stage: number, isolateToo?: boolean): void;
  /** Calls of passes that are in the stages now, and the most at once so far. */
  readonly inStages: { now: number; most: number };
}

/** No test brings an engine to fail: what a leader sends, and where it stops, must not. */
const failed = (error: unknown): never => {
  throw error;
};

/** `model`: whose parts the stages have; the leader's unless given. */
export async function stagesOf(
  loadPart: LoadPart,
  cuts: readonly Cut[],
  { stepsAtOnce = cuts.length, model = digests.modelDigest }: { readonly stepsAtOnce?: number; readonly model?: string } = {},
): Promise<Stages> {
  const [lead, ...others] = cuts;
  const load: LoadPart = (options = {}) => loadPart({ ...digests, ...options });
  const inStages = { now: 0, most: 0 };
  let instance = 0;
  const loaded = others.map((cut) => load({ cut }));
  const owners = new Map<string, number>();
  // Another object of the same isolate, or another isolate.
  const begin = (cut: Cut, at: number, again = false): StageEngine => {
    const engine = again ? load({ cut }) : (loaded[at] ?? load({ cut }));
    const host = { load: () => Promise.resolve({ engine, cut, model }), owners, onDefect: failed };
    return new StageEngine(host, String(at), String((instance += 1)));
  };
  const stages = others.map((cut, at) => begin(cut, at));
  const connect = (stage: number): StageCalls => {
    const at = stage - 1;
    const begun = stages[at];
    // As over RPC: nothing is answered at once, and an end that has died answers nothing.
    return new Proxy({} as StageCalls, {
      get:
        (_, name: keyof StageCalls) =>
        async (...values: never[]) => {
          if (stages[at] !== begun || begun === undefined) throw new Error("the isolate has ended");
          const answer = (begun[name] as (...values: never[]) => Promise<unknown>)(...values);
          if (name !== "pass") return await answer;
          inStages.now += 1;
          inStages.most = Math.max(inStages.most, inStages.now);
          await pause(1);
          inStages.now -= 1;
          if (stages[at] !== begun) throw new Error("the isolate has ended");
          return await answer;
        },
    });
  };
  const engine = new StagedEngine(load(lead === undefined ? {} : { cut: lead }), {
    cuts,
    model: digests.modelDigest,
    connect,
    owner: 7,
    stepsAtOnce,
  });
  await engine.join();
  return {
    engine,
    inStages,
    kill: (stage, isolateToo = true) => {
      const cut = others[stage - 1];
      if (cut !== undefined) stages[stage - 1] = begin(cut, stage - 1, isolateToo);
    },
  };
}
