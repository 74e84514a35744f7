/** A stage's side of the calls: its engine, the leader that it has joined, and its parts of that leader's states. Its Worker gives it the engine. */
import { stateChunkBytes } from "../../contracts/engine.ts";
import { messageOf } from "../../contracts/request/failures.ts";
import type { Cut, StageAnswer, StageCalls, StageWelcome } from "../../contracts/stages.ts";
import { engineErrorCode, type EngineDescription, type PartEngine } from "../engine-surface.ts";

export interface StageHost {
  /** Of this stage, loaded; the same every time. `model`: sha256 of the weights file, hex. */
  load(): Promise<{ readonly engine: PartEngine; readonly cut: Cut; readonly model: string }>;
  /** Leaders by stage object, as long as the isolate lives: an object that begins anew in it finds what its earlier one has left behind. */
  readonly owners: Map<string, number>;
  /** The engine failed unexpectedly; it can't be trusted with anything more. */
  onDefect(error: unknown): void;
}

const restarted = { code: "restarted", message: "it has begun anew, or another engine has joined it" };
/** By whoever sends it: nothing is wrong here. */
const brokenOff = { code: "broken_off", message: "the state's bytes broke off" };

export class StageEngine implements StageCalls {
  readonly #host: StageHost;
  /** Which of the isolate's stage objects it is. */
  readonly #object: string;
  /** Tells this stage from the one that was here before it. */
  readonly #instance: string;
  #engine: PartEngine | undefined;
  #owner: number | undefined;

  constructor(host: StageHost, object: string, instance: string) {
    this.#host = host;
    this.#object = object;
    this.#instance = instance;
  }

  async join(owner: number, learnedSinks: Uint8Array): Promise<StageAnswer<StageWelcome>> {
    try {
      const { engine, cut, model } = await this.#host.load();
      if (this.#owner !== owner) {
        const earlier = this.#host.owners.get(this.#object);
        if (earlier !== undefined) engine.forgetOwner(earlier);
        this.#host.owners.set(this.#object, owner);
      }
      [this.#engine, this.#owner] = [engine, owner];
      const { passTokens, spikes } = JSON.parse(engine.describe()) as EngineDescription;
      const laid = engine.laySinks(learnedSinks);
      return {
        ok: true,
        value: { epoch: this.#epoch(), passTokens, learnedSinks: laid, holds: { cut, model, spikes } },
        freeStateBytes: engine.freeStateBytes(),
      };
    } catch (error) {
      return this.#failed(error);
    }
  }

  pass(epoch: string, message: Uint8Array): Promise<StageAnswer<Uint8Array>> {
    return this.#answer(epoch, (engine) => engine.passOn(message));
  }

  embed(epoch: string, message: Uint8Array): Promise<StageAnswer<Uint8Array>> {
    return this.#answer(epoch, (engine) => engine.embedPart(message));
  }

  logits(epoch: string, message: Uint8Array, first: number, count: number): Promise<StageAnswer<Uint8Array>> {
    return this.#answer(epoch, (engine) => engine.logitsPart(message, first, count));
  }

  fork(epoch: string, from: number, to: number): Promise<StageAnswer<null>> {
    return this.#answer(epoch, (engine, owner) => {
      engine.forkGuest(owner, from, to);
      return null;
    });
  }

  forget(epoch: string, sequences: readonly number[]): Promise<StageAnswer<null>> {
    return this.#answer(epoch, (engine, owner) => {
      for (const sequence of sequences) engine.forgetGuest(owner, sequence);
      return null;
    });
  }

  measure(epoch: string): Promise<StageAnswer<null>> {
    return this.#answer(epoch, () => null);
  }

  save(epoch: string, sequence: number, fromPage: number, mode: string): Promise<StageAnswer<ReadableStream<Uint8Array>>> {
    return this.#answer(epoch, (engine, owner) => {
      const handle = engine.guest(owner, sequence);
      engine.beginSave(handle, fromPage, mode);
      return new ReadableStream({
        type: "bytes",
        pull: (controller) => {
          const bytes = engine.readSaved(handle, stateChunkBytes);
          if (bytes.length > 0) {
            controller.enqueue(bytes);
            return;
          }
          engine.endSave(handle);
          controller.close();
        },
        cancel: () => {
          engine.endSave(handle);
        },
      });
    });
  }

  async restore(epoch: string, sequence: number, bytes: ReadableStream<Uint8Array>): Promise<StageAnswer<number>> {
    const { engine, owner } = this.#joined(epoch) ?? {};
    if (engine === undefined || owner === undefined) {
      await bytes.cancel(restarted.message).catch(() => undefined);
      return { ok: false, failure: restarted };
    }
    try {
      engine.forgetGuest(owner, sequence);
      const handle = engine.guest(owner, sequence);
      engine.beginRestore(handle, new Uint32Array());
      const reader = bytes.getReader();
      for (;;) {
        const next = await reader.read().catch(() => undefined);
        if (next === undefined) {
          engine.forgetGuest(owner, sequence);
          return { ok: false, failure: brokenOff };
        }
        if (next.done) break;
        try {
          engine.pushState(handle, next.value);
        } catch (error) {
          await reader.cancel(messageOf(error)).catch(() => undefined);
          throw error;
        }
      }
      return { ok: true, value: engine.endRestore(handle), freeStateBytes: engine.freeStateBytes() };
    } catch (error) {
      engine.forgetGuest(owner, sequence);
      return this.#failed(error);
    }
  }

  #epoch(): string {
    return `${this.#instance}-${String(this.#owner)}`;
  }

  #joined(epoch: string): { readonly engine: PartEngine; readonly owner: number } | undefined {
    if (this.#engine === undefined || this.#owner === undefined || epoch !== this.#epoch()) return undefined;
    return { engine: this.#engine, owner: this.#owner };
  }

  /** Done at once, so that calls take effect in the order in which they came. */
  #answer<T>(epoch: string, use: (engine: PartEngine, owner: number) => T): Promise<StageAnswer<T>> {
    const joined = this.#joined(epoch);
    if (joined === undefined) return Promise.resolve({ ok: false, failure: restarted });
    try {
      const value = use(joined.engine, joined.owner);
      return Promise.resolve({ ok: true, value, freeStateBytes: joined.engine.freeStateBytes() });
    } catch (error) {
      return Promise.resolve(this.#failed(error));
    }
  }

  #failed(error: unknown): { readonly ok: false; readonly failure: { readonly code: string; readonly message: string } } {
    const code = engineErrorCode(error);
    if (code !== undefined) return { ok: false, failure: { code, message: messageOf(error) } };
    this.#host.onDefect(error);
    return { ok: false, failure: { code: "failed", message: "it failed; its log says why" } };
  }
}
