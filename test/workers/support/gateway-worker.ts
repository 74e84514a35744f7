/** The gateway with a scripted engine and a tiny model in place of its neighbours, reached over the same RPC and asset bindings. */
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import type { GenerateRequest, GenerationBackend } from "../../../workers/contracts/engine.ts";
import { tinyManifest, tinyTokenizer, END_OF_TURN } from "./tiny-tokenizer.ts";
import { ToyBackend } from "./toy-backend.ts";

export { default } from "../../../workers/gateway/index.ts";
export { DirectoryObject, SessionObject, SessionService, ShareObject, StreamObject, TenantObject } from "../../../workers/session/index.ts";

/** Tests run in this Worker's isolate, so they script it and read its counters directly. */
export const engine = new ToyBackend({
  vocabularySize: tinyTokenizer.tokens.length,
  contextLength: tinyManifest.contextLength,
  endOfTurn: END_OF_TURN,
});

/** A Durable Object behind an entrypoint, as the real engine is: only an object outlives the cancelled call and can notice it. */
export class ScriptedEngineObject extends DurableObject implements GenerationBackend {
  describe() {
    return engine.describe();
  }

  ready() {
    return engine.ready();
  }

  load() {
    return engine.load();
  }

  generate(request: GenerateRequest) {
    return engine.generate(request);
  }
}

interface EngineEnvironment {
  readonly ENGINE_OBJECT: DurableObjectNamespace<ScriptedEngineObject>;
}

export class ScriptedEngine extends WorkerEntrypoint<EngineEnvironment> implements GenerationBackend {
  get #object(): GenerationBackend {
    return this.env.ENGINE_OBJECT.getByName("engine");
  }

  describe() {
    return this.#object.describe();
  }

  ready() {
    return this.#object.ready();
  }

  load() {
    return this.#object.load();
  }

  generate(request: GenerateRequest) {
    return this.#object.generate(request);
  }
}

const ASSETS: Readonly<Record<string, object>> = { "/model/manifest.json": tinyManifest, "/model/tokenizer.json": tinyTokenizer };

export class FixtureAssets extends WorkerEntrypoint {
  override fetch(request: Request): Response {
    const asset = ASSETS[new URL(request.url).pathname];
    return asset === undefined ? new Response("not found", { status: 404 }) : Response.json(asset);
  }
}
