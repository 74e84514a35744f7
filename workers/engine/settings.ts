/** The engine Worker's bindings. */
import type { GrammarService } from "../contracts/constraint.ts";
import { ServiceError } from "../contracts/errors.ts";
import type { StageCalls } from "../contracts/stages.ts";
import type { EngineObject } from "./engine-object.ts";

/** Of the Worker of one stage. */
export interface StageNamespace {
  getByName(name: string): StageCalls;
}

export interface EngineEnvironment {
  /** Static assets: `dist/engine`, see workers/contracts/model-files.ts. */
  readonly MODEL_FILES: Fetcher;
  readonly ENGINE_OBJECT: DurableObjectNamespace<EngineObject>;
  /** The grammar Worker; without it no answer is held to a constraint. */
  readonly GRAMMAR?: GrammarService;
  /** How many engine objects share the load; "1" if not set. */
  readonly ENGINE_OBJECTS?: string;
  /** Bound of the engine's linear memory in MiB; "121" if not set. */
  readonly MEMORY_LIMIT_MIB?: string;
  /** Most tokens of one request, prompt and completion, where the model's context has no end; "131072" if not set. */
  readonly REQUEST_TOKENS?: string;
  /** Which inputs of the model's products spike: `off`, `paper` or `released`; the model file's own wish if not set. */
  readonly SPIKES?: string;
  /** Of a model in stages: passes that may be on their way at once, each with its part of the sequences; 0, or nothing, for as many as stages. */
  readonly STEPS_AT_ONCE?: string;
  /** Of a model in stages: each one's objects. */
  readonly [stage: `STAGE_${number}`]: StageNamespace | undefined;
}

/** @throws ServiceError `configuration_invalid` where the Worker isn't bound to a stage that the model's plan has. */
export function stageNamespace(environment: EngineEnvironment, stage: number): StageNamespace {
  const namespace = environment[`STAGE_${stage}`];
  if (namespace !== undefined) return namespace;
  throw new ServiceError({
    code: "configuration_invalid",
    status: 500,
    message: `the model's plan has a stage ${String(stage)}, and the engine Worker has no binding STAGE_${String(stage)}`,
    retryable: false,
  });
}
