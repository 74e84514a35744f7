/**
 * An engine that costs next to nothing, for what the gateway itself costs: it counts through the vocabulary, one token each time it is
 * asked for one, over the same entrypoint and object as the real one.
 */
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import type { Outcome } from "../../../workers/contracts/outcome.ts";
import type { EngineLoad, GenerateRequest, GenerationBackend, ModelDescription } from "../../../workers/contracts/engine.ts";
import { encodeEvent } from "../../../workers/contracts/event-stream.ts";
import { catalog, type ModelAssets } from "../../../workers/models/catalog.ts";

/** Of whichever model is served: an engine that had another one would not be asked. */
const description = {
  architecture: "counting",
  parameters: 0,
  vocabularySize: 2 ** 31 - 1,
  contextLength: 8192,
  abilities: [],
  kernel: "counting",
} as const;

/** In a byte-level vocabulary the commonest merges begin here: words and parts of words, never a control token or half a character. */
const firstToken = 1000;
const differentTokens = 64;

interface EngineEnvironment extends ModelAssets {
  readonly ENGINE_OBJECT: DurableObjectNamespace<EngineObject>;
}

export class EngineObject extends DurableObject<EngineEnvironment> implements GenerationBackend {
  async models(): Promise<Outcome<readonly ModelDescription[]>> {
    const value = (await catalog(this.env)).flatMap(({ card: { id, sha256, tokenizerSha256 } }) =>
      sha256 === null ? [] : [{ ...description, ...{ id, digest: sha256, tokenizerDigest: tokenizerSha256 } }],
    );
    return { ok: true, value };
  }

  ready(): Promise<Outcome<null>> {
    return Promise.resolve({ ok: true, value: null });
  }

  load(): Promise<EngineLoad> {
    return Promise.resolve({ loaded: true, running: 0, waiting: 0, freeStateBytes: 0, generatedTokens: 0 });
  }

  generate({ prompt, maxTokens }: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    // Behind tokens of its own kind it goes on: of an answer that a replica has begun.
    const last = (prompt.at(-1) ?? 0) - firstToken;
    const begun = last >= 0 && last < differentTokens ? last + 1 : 0;
    let generated = 0;
    const value: ReadableStream<Uint8Array> = new ReadableStream(
      {
        type: "bytes",
        pull(controller) {
          if (generated < maxTokens) {
            controller.enqueue(encodeEvent({ type: "token", id: firstToken + ((begun + generated) % differentTokens) }));
            generated += 1;
            return;
          }
          const usage = { promptTokens: prompt.length, completionTokens: generated, cachedTokens: 0 };
          controller.enqueue(encodeEvent({ type: "finish", reason: "length", usage }));
          controller.close();
        },
      },
      // One token for each read: never two of them in one chunk, as a model that computes one after another would send them.
      { highWaterMark: 0 },
    );
    return Promise.resolve({ ok: true, value });
  }
}

export class EngineService extends WorkerEntrypoint<EngineEnvironment> implements GenerationBackend {
  get #object(): GenerationBackend {
    return this.env.ENGINE_OBJECT.getByName("engine-0");
  }

  models(): Promise<Outcome<readonly ModelDescription[]>> {
    return this.#object.models();
  }

  ready(): Promise<Outcome<null>> {
    return this.#object.ready();
  }

  load(): Promise<EngineLoad> {
    return this.#object.load();
  }

  generate(request: GenerateRequest): Promise<Outcome<ReadableStream<Uint8Array>>> {
    return this.#object.generate(request);
  }
}

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
