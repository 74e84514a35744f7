/** The gateway with a scripted engine and a tiny model in place of its neighbours, reached over the same RPC and asset bindings. */
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import type { GenerateRequest, GenerationBackend } from "../../../workers/contracts/engine.ts";
import type { ModelIndex } from "../../../workers/contracts/model-files.ts";
import { endOfTurn, plainManifest, swappedManifest, swappedTokenizer, tinyManifest, tinyTokenizer, versionOf } from "./tiny-tokenizer.ts";
import { ToyBackend } from "./toy-backend.ts";
import "./toy-grammar.ts";

export { default } from "../../../workers/gateway/index.ts";
export { GrammarEntrypoint } from "../../../workers/grammar/index.ts";
export { PoolService } from "../../../workers/pool/index.ts";
export { PoolObject } from "../../../workers/pool/registry/pool-object.ts";
export { DirectoryObject, SessionObject, SessionService, ShareObject, StreamObject, TenantObject } from "../../../workers/session/index.ts";

/** Tests run in this Worker's isolate, so they script it and read its counters directly. */
export const engine = new ToyBackend({
  vocabularySize: tinyTokenizer.tokens.length,
  contextLength: tinyManifest.contextLength,
  endOfTurn: endOfTurn,
  models: [versionOf(tinyManifest), versionOf(swappedManifest), { ...versionOf(plainManifest), abilities: [] }],
});

/** A Durable Object behind an entrypoint, as the real engine is: only an object outlives the cancelled call and can notice it. */
export class ScriptedEngineObject extends DurableObject implements GenerationBackend {
  models() {
    return engine.models();
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

  models() {
    return this.#object.models();
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

/** Replicas of the pool by their hosts: a test puts its own here. */
export const replicas = new Map<string, (request: Request) => Promise<Response>>();

export class ReplicaNetwork extends WorkerEntrypoint {
  override async fetch(request: Request): Promise<Response> {
    const replica = replicas.get(new URL(request.url).hostname);
    if (replica === undefined) throw new Error("nobody listens at this address");
    return await replica(request);
  }
}

/** A test may put another deployment's files in their place. */
export const assets: Record<string, object> = {
  "/models.json": {
    models: [
      { id: tinyManifest.id, path: "/tiny/", tokenizer: "/tiny/tokenizer.json" },
      { id: swappedManifest.id, path: "/swapped/", tokenizer: "/swapped/tokenizer.json" },
      { id: plainManifest.id, path: "/plain/", tokenizer: "/tiny/tokenizer.json" },
    ],
  } satisfies ModelIndex,
  "/tiny/manifest.json": tinyManifest,
  "/tiny/tokenizer.json": tinyTokenizer,
  "/swapped/manifest.json": swappedManifest,
  "/swapped/tokenizer.json": swappedTokenizer,
  "/plain/manifest.json": plainManifest,
};

export class FixtureAssets extends WorkerEntrypoint {
  override fetch(request: Request): Response {
    const asset = assets[new URL(request.url).pathname];
    return asset === undefined ? new Response("not found", { status: 404 }) : Response.json(asset);
  }
}
