/** The states of one generation: the one that its request came with, on its way in, and those that it asked for, on their way out. */
import type { OpenedRequest } from "../contracts/request/open-state.ts";
import { engineErrorCode, type ComputingEngine } from "./engine-surface.ts";
import type { EventWriter } from "./event-writer.ts";
import { messageOf } from "../contracts/request/failures.ts";
import type { IncomingStateHost } from "./incoming-state.ts";
import { StateRestorer } from "./state-restorer.ts";
import { StateSaver, type SavedSequence } from "./state-saver.ts";

export class SequenceStates {
  readonly #engine: ComputingEngine;
  readonly #writer: EventWriter;
  readonly #save: OpenedRequest["save"];
  /** Until the state is in place. */
  #restorer: StateRestorer | undefined;
  /** While a state goes out. */
  #saver: StateSaver | undefined;
  /** How many of `save.at` have been begun. */
  #begun = 0;

  constructor(engine: ComputingEngine, writer: EventWriter, { resume, save }: OpenedRequest, host: IncomingStateHost) {
    this.#engine = engine;
    this.#writer = writer;
    this.#save = save;
    if (resume !== undefined) this.#restorer = new StateRestorer(engine, resume, host);
  }

  /** Until it is undefined, the sequence is the restorer's. */
  get restorer(): StateRestorer | undefined {
    return this.#restorer;
  }

  get saving(): boolean {
    return this.#saver !== undefined;
  }

  /** Whether a copy goes out while the original goes on. */
  get savesCopy(): boolean {
    return this.#saver?.sequence.forked === true;
  }

  /** How many tokens of text have been read where the next state is to be saved; none is beyond the prompt. */
  get nextSave(): number {
    return this.#save?.at[this.#begun] ?? Infinity;
  }

  /** Done with it, whether it is in place or of no use. */
  endRestore(): void {
    this.#restorer?.cancel();
    this.#restorer = undefined;
  }

  /** On the way: a copy where one may be made, so that the original reads on meanwhile; else the sequence itself. */
  saveNext(handle: number, tokens: number, mayCopy: boolean): void {
    this.#begun += 1;
    const copy = mayCopy ? this.#fork(handle) : undefined;
    this.#open({ handle: copy ?? handle, forked: copy !== undefined, tokens });
  }

  saveEnd(handle: number, tokens: number): void {
    this.#open({ handle, forked: false, tokens });
  }

  /**
   * Sends the next chunk to a reader that keeps up; false where there is nothing to send, or nobody to send it to. Where the engine can't give the
   * rest of it, the reader is told, and the answer goes on.
   */
  advanceSave(): boolean {
    if (this.#saver === undefined || !this.#writer.wantsMore) return false;
    try {
      const progress = this.#saver.advance();
      if (progress === "done") this.#saver = undefined;
      return progress !== "idle";
    } catch (error) {
      if (engineErrorCode(error) === undefined) throw error;
      return this.abandonSave(messageOf(error));
    }
  }

  /** False where nothing was going out. */
  abandonSave(reason: string): boolean {
    const saver = this.#saver;
    this.#saver = undefined;
    saver?.abandon(reason);
    return saver !== undefined;
  }

  /** Leaves the sequence alone, so that it can be closed. */
  close(): void {
    this.#saver?.close();
    this.#saver = undefined;
  }

  #fork(handle: number): number | undefined {
    try {
      return this.#engine.fork(handle);
    } catch (error) {
      if (engineErrorCode(error) === "out_of_memory") return undefined;
      throw error;
    }
  }

  /** Where the engine can't save it, the reader is told. */
  #open(sequence: Omit<SavedSequence, "fromPage" | "recurrent">): void {
    const { fromPage = 0, recurrent = "f32" } = this.#save ?? {};
    try {
      this.#saver = new StateSaver(this.#engine, this.#writer, { ...sequence, fromPage, recurrent });
    } catch (error) {
      if (engineErrorCode(error) === undefined) throw error;
      if (sequence.forked) this.#engine.close(sequence.handle);
      this.#writer.send({ type: "unsaved", tokens: sequence.tokens, reason: messageOf(error) });
    }
  }
}
