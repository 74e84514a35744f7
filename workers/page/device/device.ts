/** The engine in the visitor's browser, with what it remembers of conversations. */
import type { ModelManifest } from "../../contracts/model-files.ts";
import type { Engine, ModelLoader } from "../../engine/engine-surface.ts";
import { loadModel, type ModelDigests } from "../../engine/loaded-model.ts";
import { Scheduler } from "../../engine/scheduler.ts";
import { entryNamed } from "../../models/catalog.ts";
import { servedModel } from "../../models/served-model.ts";
import { answer, type DeviceEngine } from "./answer.ts";
import type { Remembered } from "./conversation.ts";
import { DeviceError } from "./failures.ts";
import { dropOthers, keptAssets, requireDigest, requireRoom, weightFiles } from "./kept-files.ts";
import type { KeptConversations } from "./kept-conversations.ts";
import { opened, sealed } from "./moving.ts";
import { enginePackage } from "./package.ts";
import { RankedLoader } from "./ranks/ranked-loader.ts";
import { Ranks, threadsHere } from "./ranks/ranks.ts";
import type {
  AnswerOrder,
  DeviceEvent,
  DeviceModel,
  GivenConversation,
  GiveOrder,
  LoadedHere,
  LoadProgress,
  SealedConversation,
} from "./protocol.ts";

/** Beside the weights: buffers, and the states of the answers that run. The address space has 4 GiB. */
const memoryBesideWeights = 256 * 2 ** 20;
const mostMemory = 4095 * 2 ** 20;
/** Of the weights, what a thread may have more than its part: whole panels of rows, and what every thread has. */
const rankShare = 1.2;
/** Most tokens of one request where the state has no bound, as `REQUEST_TOKENS` is at the edge. */
const requestTokens = 131_072;

export class Device {
  readonly #kept: KeptConversations;
  readonly #turns = new Map<string, Promise<unknown>>();
  #engine: (DeviceEngine & LoadedHere) | undefined;
  #loading: Promise<DeviceEngine & LoadedHere> | undefined;
  #defect: unknown;

  constructor(kept: KeptConversations) {
    this.#kept = kept;
  }

  /** Once: whoever asks while it is loaded waits for it. @throws DeviceError, ServiceError */
  async load(model: DeviceModel, onProgress: (progress: LoadProgress) => void): Promise<LoadedHere> {
    this.#loading ??= this.#load(model, onProgress);
    try {
      this.#engine = await this.#loading;
      return { threads: this.#engine.threads };
    } catch (error) {
      this.#loading = undefined;
      throw error;
    }
  }

  async answer(order: AnswerOrder, emit: (event: DeviceEvent) => void, signal: AbortSignal): Promise<void> {
    await this.#inTurn(order.conversation, async () => {
      const after = await answer(this.#ready(), order, await this.#remembered(order.conversation), emit, signal);
      if (after !== undefined) await this.#kept.put(after);
    });
  }

  async adopt(file: SealedConversation): Promise<void> {
    await this.#inTurn(file.conversation, async () => {
      await this.#kept.put(await opened(file, this.#identity()));
    });
  }

  async give({ conversation, ...order }: GiveOrder): Promise<GivenConversation | null> {
    return await this.#inTurn(conversation, async () => {
      const remembered = await this.#kept.get(conversation);
      return remembered === undefined ? null : await sealed(remembered, order);
    });
  }

  async retain(conversations: readonly string[]): Promise<void> {
    for (const id of await this.#kept.ids()) if (!conversations.includes(id)) await this.forget(id);
  }

  async forget(conversation: string): Promise<void> {
    await this.#inTurn(conversation, () => this.#kept.remove(conversation));
  }

  /** What is done with one conversation is done one after another: an answer that was stopped is put down before the next begins. */
  async #inTurn<T>(conversation: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(conversation) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#turns.set(conversation, mine);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(conversation) === mine) this.#turns.delete(conversation);
    }
  }

  /** Undefined also where it is of another version of the model: its text is read again. */
  async #remembered(conversation: string): Promise<Remembered | undefined> {
    const { model, tokenizer } = this.#identity();
    const remembered = await this.#kept.get(conversation);
    return remembered?.model === model && remembered.tokenizer === tokenizer ? remembered : undefined;
  }

  #identity(): Pick<Remembered, "model" | "tokenizer"> {
    const { digest, tokenizerDigest } = this.#ready().loaded.description;
    return { model: digest, tokenizer: tokenizerDigest };
  }

  #ready(): DeviceEngine {
    if (this.#defect !== undefined) throw new DeviceError("device", "The engine on this device failed. Reload the page to start it anew.");
    if (this.#engine === undefined) throw new DeviceError("device", "The model is not loaded.");
    return this.#engine;
  }

  async #load({ id, spikes }: DeviceModel, onProgress: (progress: LoadProgress) => void): Promise<DeviceEngine & LoadedHere> {
    const entry = await entryNamed(keptAssets, id);
    const manifest = entry.card as ModelManifest;
    const { download } = manifest;
    if (download === undefined || entry.tokenizer === null)
      throw new DeviceError("network", `The weights of '${id}' are not given away here.`);
    await requireRoom(download);
    const built = await enginePackage();
    await requireDigest(entry.tokenizer, manifest.tokenizerSha256);
    const served = await servedModel(keptAssets, entry);
    const ranks = await Ranks.start(built.module, threadsHere() - 1);
    const threads = ranks.count + 1;
    const memoryLimitBytes = Math.min(mostMemory, Math.ceil((download.bytes * rankShare) / threads) + memoryBesideWeights);
    const options = { kvType: "int8", memoryLimitBytes, ...(spikes === null ? {} : { spikes }) } as const;
    const create = (digests: ModelDigests): ModelLoader<Engine> =>
      threads === 1 ? built.createLoader({ ...options, ...digests }) : new RankedLoader(built, { ...options, ...digests }, ranks);
    const alone = { alive: () => undefined, onTakenOver: () => undefined };
    try {
      const loaded = await loadModel(weightFiles(manifest, download, onProgress), create, requestTokens, alone);
      await dropOthers(download);
      return { served, loaded, scheduler: this.#schedulerOver(loaded), threads };
    } catch (error) {
      ranks.end();
      throw error;
    }
  }

  #schedulerOver({ engine, description }: DeviceEngine["loaded"]): Scheduler {
    const onDefect = (error: unknown): void => {
      this.#defect = error;
    };
    return new Scheduler(engine, description, {
      waitUntil: (promise) => {
        promise.catch(onDefect);
      },
      now: () => performance.now(),
      yield: nextIteration,
      sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
      // Nothing bounds the time of this Worker.
      renew: () => undefined,
      onDefect,
    });
  }
}

/** Timers that follow one another are held back for 4 ms, which is much beside a token; messages are not. */
function nextIteration(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
