/** A stage: a part of a model that is too large for one isolate. No routes; the engine Worker, which leads, is bound to its object. */
import { DurableObject } from "cloudflare:workers";
import type { Cut, StageAnswer, StageCalls, StageWelcome } from "../contracts/stages.ts";
import type { PartEngine } from "../engine/engine-surface.ts";
import { loadPart } from "../engine/loaded-model.ts";
import { StageEngine } from "../engine/stages/stage-engine.ts";
import { createModelLoader } from "../engine/wasm-module.ts";
import { readManifest } from "../engine/weights.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { OncePerIsolate } from "../waiting/once-per-isolate.ts";
import { stageSettings, type StageEnvironment } from "./settings.ts";

interface LoadedStage {
  readonly engine: PartEngine;
  readonly cut: Cut;
  readonly model: string;
}

/** Shared by all objects of the isolate, each of which has its own leader's states. */
const sharedStage = new OncePerIsolate<LoadedStage>({ silenceMilliseconds: 15_000, failureMilliseconds: 2_000 });

const owners = new Map<string, number>();

export class StageObject extends DurableObject<StageEnvironment> implements StageCalls {
  readonly #stage = new StageEngine(
    {
      load: () => this.#loaded(),
      owners,
      onDefect: (error) => {
        logLine("error", "engine_defect", { cause: describeCause(error) });
        sharedStage.poison(error);
      },
    },
    this.ctx.id.toString(),
    crypto.randomUUID(),
  );

  join(owner: number, learnedSinks: Uint8Array): Promise<StageAnswer<StageWelcome>> {
    return this.#stage.join(owner, learnedSinks);
  }

  pass(epoch: string, message: Uint8Array): Promise<StageAnswer<Uint8Array>> {
    return this.#stage.pass(epoch, message);
  }

  embed(epoch: string, message: Uint8Array): Promise<StageAnswer<Uint8Array>> {
    return this.#stage.embed(epoch, message);
  }

  logits(epoch: string, message: Uint8Array, first: number, count: number): Promise<StageAnswer<Uint8Array>> {
    return this.#stage.logits(epoch, message, first, count);
  }

  fork(epoch: string, from: number, to: number): Promise<StageAnswer<null>> {
    return this.#stage.fork(epoch, from, to);
  }

  forget(epoch: string, sequences: readonly number[]): Promise<StageAnswer<null>> {
    return this.#stage.forget(epoch, sequences);
  }

  measure(epoch: string): Promise<StageAnswer<null>> {
    return this.#stage.measure(epoch);
  }

  save(epoch: string, sequence: number, fromPage: number, mode: string): Promise<StageAnswer<ReadableStream<Uint8Array>>> {
    return this.#stage.save(epoch, sequence, fromPage, mode);
  }

  restore(epoch: string, sequence: number, bytes: ReadableStream<Uint8Array>): Promise<StageAnswer<number>> {
    return this.#stage.restore(epoch, sequence, bytes);
  }

  /** Size of the isolate's linear memory. 0 before the stage is loaded. */
  memoryBytes(): Promise<number> {
    return Promise.resolve(sharedStage.value?.engine.memoryBytes() ?? 0);
  }

  async #loaded(): Promise<LoadedStage> {
    if (sharedStage.value !== undefined) return sharedStage.value;
    const { stage, memoryLimitBytes, spikes } = stageSettings(this.env);
    const options = { kvType: "int8", memoryLimitBytes, ...(spikes === undefined ? {} : { spikes }) } as const;
    return await sharedStage.get(async (making) => {
      const manifest = await readManifest(this.env.MODEL_FILES);
      const cut = manifest.stages?.[stage];
      if (cut === undefined) throw new Error(`the model's plan has no stage ${String(stage)}`);
      const loader = (digests: object) => createModelLoader({ ...options, ...digests, cut });
      return { engine: await loadPart(this.env.MODEL_FILES, manifest, loader, making), cut, model: manifest.sha256 };
    });
  }
}

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
