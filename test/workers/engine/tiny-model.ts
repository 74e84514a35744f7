/** A model of some kilobytes whose state is constant, in the real engine, for tests inside the runtime. */
import { inject } from "vitest";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import type { EngineLoad, GenerateRequest, GenerationBackend, ModelDescription } from "../../../workers/contracts/engine.ts";
import type { ModelManifest } from "../../../workers/contracts/model-files.ts";
import type { LoadedModel } from "../../../workers/engine/described-model.ts";
import { loadModel } from "../../../workers/engine/loaded-model.ts";
import { submitWithState } from "../../../workers/contracts/request/open-state.ts";
import { fromBase64 } from "../../../workers/encoding/base64.ts";
import { Scheduler } from "../../../workers/engine/scheduler.ts";
import { defaultLimits } from "../../../workers/engine/scheduler-limits.ts";
import { createModelLoader } from "../../../workers/engine/wasm-module.ts";
import type {} from "./provided.ts";
import { pause } from "../../../workers/waiting/within.ts";

/** Ids it knows. */
export const tinyVocabulary = 29;
const making = { alive: () => undefined, onTakenOver: () => undefined };

export interface TinyModelFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly kvType: "int8" | "f32";
}

export const tinyModelBytes = (): Uint8Array<ArrayBuffer> => fromBase64(inject("constantStateModel"));

const committed = (): TinyModelFile => ({ bytes: tinyModelBytes(), kvType: "int8" });

/** Of a file with linear and windowed layers; the committed one unless another is given. */
export async function tinyModel(requestTokens: number, { bytes: file, kvType }: TinyModelFile = committed()): Promise<LoadedModel> {
  const sha256 = Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", file)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
  const manifest: ModelManifest = {
    id: "tiny",
    created: 0,
    ownedBy: "tests",
    sha256,
    tokenizerSha256: "3".repeat(64),
    bytes: file.length,
    shards: [{ file: "shard-000.bin", bytes: file.length, sha256 }],
    contextLength: 512,
    form: {
      layers: [
        { mixer: "linear", feedForward: "dense", count: 2 },
        { mixer: "window", feedForward: "dense", count: 2 },
      ],
      window: 7,
      keptTokens: 0,
      learnedSinks: 0,
      salientTokens: null,
      kvHeads: 2,
      headDim: 4,
    },
    origin: { license: null, weights: null, teacher: null },
    defaults: {},
    parameters: null,
    runsOn: ["engine"],
  };
  const files = {
    fetch: (input: RequestInfo | URL) => {
      const { pathname } = new URL(input instanceof Request ? input.url : input);
      return Promise.resolve(new Response(pathname.endsWith("manifest.json") ? JSON.stringify(manifest) : file));
    },
  };
  const options = { kvType, memoryLimitBytes: 121 * 1024 * 1024 } as const;
  return await loadModel(files, (digests) => createModelLoader({ ...options, ...digests }), requestTokens, making);
}

/** As an engine object does it, without the object. */
export class SchedulerBackend implements GenerationBackend {
  readonly #model: LoadedModel;
  readonly #scheduler: Scheduler;

  constructor(model: LoadedModel, limits = defaultLimits) {
    this.#model = model;
    const host = {
      waitUntil: () => undefined,
      now: Date.now,
      yield: () => pause(0),
      sleep: pause,
      renew: () => undefined,
      onDefect: (error: unknown) => {
        throw error;
      },
    };
    this.#scheduler = new Scheduler(model.engine, model.description, host, limits);
  }

  models(): Promise<Outcome<readonly ModelDescription[]>> {
    return Promise.resolve({ ok: true, value: [this.#model.description] });
  }

  ready(): Promise<Outcome<null>> {
    return Promise.resolve({ ok: true, value: null });
  }

  load(): Promise<EngineLoad> {
    const { running, waiting, generatedTokens } = this.#scheduler;
    const freeStateBytes = this.#model.engine.freeStateBytes();
    return Promise.resolve({ loaded: true, running, waiting, freeStateBytes, generatedTokens });
  }

  generate(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    return submitWithState(this.#scheduler, request);
  }
}
