import { DurableObject } from "cloudflare:workers";
import type { Ability } from "../contracts/abilities.ts";
import type { Outcome } from "../contracts/outcome.ts";
import type { EngineLoad, GenerateRequest, GenerationBackend, ModelDescription } from "../contracts/engine.ts";
import { describeCause, logLine } from "../observe/log-line.ts";
import { OncePerIsolate } from "../waiting/once-per-isolate.ts";
import { pause } from "../waiting/within.ts";
import { failureOf } from "./failures.ts";
import { describeModel, produceOneToken, type LoadedModel } from "./described-model.ts";
import { dependsOn, type KeptDescription } from "./description-file.ts";
import { keepDescription, keptDescription, writtenDescription } from "./kept-description.ts";
import { loadFile, type LoadedFile } from "./loaded-model.ts";
import { submitWithState } from "../contracts/request/open-state.ts";
import { Scheduler } from "./scheduler.ts";
import { stageNamespace, type EngineEnvironment } from "./settings.ts";
import { StagedEngine } from "./stages/staged-engine.ts";
import { engineSettings } from "./variables.ts";
import { createModelLoader } from "./wasm-module.ts";
import { readManifest } from "./weights.ts";

/** Shared by all engine objects of the isolate; immutable once made. Sequences belong to objects. A loader shows progress with every chunk. */
const sharedFile = new OncePerIsolate<LoadedFile>({ silenceMilliseconds: 15_000, failureMilliseconds: 5_000 });

/** Once in an isolate's life: a write that the disk refuses ends the object, with what it runs. */
let hasTriedToKeep = false;

/** Holds running generations over the isolate's engine. */
export class EngineObject extends DurableObject<EngineEnvironment> implements GenerationBackend {
  #scheduler: Scheduler | undefined;
  #loaded: LoadedModel | undefined;
  #joining: Promise<LoadedModel> | undefined;

  async models(): Promise<Outcome<readonly ModelDescription[]>> {
    const isHere = (ability: Ability) => ability !== "constraints" || this.env.GRAMMAR !== undefined;
    const told = (description: ModelDescription): Outcome<readonly ModelDescription[]> => ({
      ok: true,
      value: [{ ...description, abilities: description.abilities.filter(isHere) }],
    });
    const of = await this.#dependsOn();
    const kept =
      of === undefined
        ? undefined
        : ((await keptDescription(this.ctx.storage, of)) ?? (await writtenDescription(this.env.MODEL_FILES, of)));
    if (kept !== undefined && sharedFile.value === undefined) return told(kept);
    return await this.#withModel(async ({ description }) => {
      const isIdle = (this.#scheduler?.running ?? 0) === 0;
      if (of !== undefined && isIdle && JSON.stringify(kept) !== JSON.stringify(description)) await this.#keep({ of, description });
      return told(description);
    });
  }

  async ready(): Promise<Outcome<null>> {
    return await this.#withModel(async (model) => {
      if (this.#schedulerOver(model).generatedTokens === 0) await produceOneToken(model);
      return { ok: true, value: null };
    });
  }

  load(): Promise<EngineLoad> {
    const scheduler = this.#scheduler;
    return Promise.resolve({
      loaded: sharedFile.value !== undefined,
      running: scheduler?.running ?? 0,
      waiting: scheduler?.waiting ?? 0,
      freeStateBytes: (this.#loaded ?? sharedFile.value)?.engine.freeStateBytes() ?? 0,
      generatedTokens: scheduler?.generatedTokens ?? 0,
    });
  }

  /** Size of the isolate's linear memory: what its limit is held against. 0 before the model is loaded. */
  memoryBytes(): Promise<number> {
    return Promise.resolve(sharedFile.value?.engine.memoryBytes() ?? 0);
  }

  async generate(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    return await this.#withModel((model) => submitWithState(this.#schedulerOver(model), request));
  }

  /** Loads the model if need be; whatever goes wrong becomes a failure that can cross the boundary. */
  async #withModel<T>(use: (model: LoadedModel) => Outcome<T> | Promise<Outcome<T>>): Promise<Outcome<T>> {
    try {
      return await use(await this.#model());
    } catch (error) {
      logLine("error", "engine_not_loaded", { cause: describeCause(error) });
      return { ok: false, failure: failureOf(error) };
    }
  }

  /** What the description depends on; undefined where the files or variables are wrong, which whoever loads the model says. */
  async #dependsOn(): Promise<string | undefined> {
    try {
      return dependsOn(await readManifest(this.env.MODEL_FILES), engineSettings(this.env));
    } catch {
      return undefined;
    }
  }

  /** A disk that is full costs another load, later. */
  async #keep(description: KeptDescription): Promise<void> {
    if (hasTriedToKeep) return;
    hasTriedToKeep = true;
    try {
      await keepDescription(this.ctx.storage, description);
    } catch (error) {
      logLine("error", "engine_description_not_kept", { cause: describeCause(error) });
    }
  }

  async #model(): Promise<LoadedModel> {
    if (this.#loaded !== undefined && sharedFile.value !== undefined) return this.#loaded;
    const { memoryLimitBytes, requestTokens, spikes } = engineSettings(this.env);
    const options = { kvType: "int8", memoryLimitBytes, ...(spikes === undefined ? {} : { spikes }) } as const;
    const file = await sharedFile.get((making) =>
      loadFile(this.env.MODEL_FILES, (more) => createModelLoader({ ...options, ...more }), making),
    );
    if (file.manifest.stages === undefined) return (this.#loaded = describeModel(file.engine, file.manifest, requestTokens));
    // Calls of one object may await one another's promises.
    this.#joining ??= this.#join(file, requestTokens).finally(() => {
      this.#joining = undefined;
    });
    return (this.#loaded = await this.#joining);
  }

  async #join({ engine: lead, manifest }: LoadedFile, requestTokens: number): Promise<LoadedModel> {
    const cuts = manifest.stages ?? [];
    const { stepsAtOnce } = engineSettings(this.env);
    const engine = new StagedEngine(lead, {
      cuts,
      model: manifest.sha256,
      connect: (stage) => stageNamespace(this.env, stage).getByName(this.ctx.id.name ?? this.ctx.id.toString()),
      owner: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
      stepsAtOnce: stepsAtOnce === 0 ? cuts.length : stepsAtOnce,
      onRejoin: (cause) => {
        logLine("error", "stage_lost", { cause: describeCause(cause) });
      },
    });
    await engine.join();
    return describeModel(engine, manifest, requestTokens);
  }

  #schedulerOver({ engine, description }: LoadedModel): Scheduler {
    this.#scheduler ??= new Scheduler(engine, description, {
      waitUntil: (promise) => {
        this.ctx.waitUntil(promise);
      },
      now: Date.now,
      grammar: this.env.GRAMMAR,
      yield: () => pause(0),
      sleep: pause,
      renew: () => {
        this.#renew().catch((error: unknown) => {
          logLine("error", "engine_time_not_renewed", { cause: describeCause(error) });
        });
      },
      onDefect: (error) => {
        logLine("error", "engine_defect", { cause: describeCause(error) });
        sharedFile.poison(error);
      },
    });
    return this.#scheduler;
  }

  /** An incoming call, from whomever, starts the time that an object may compute anew. */
  async #renew(): Promise<void> {
    await this.env.ENGINE_OBJECT.get(this.ctx.id).load();
  }
}
