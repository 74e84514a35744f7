/** Writes one sequence's state into its generation's stream: a chunk at a time, as the reader takes them. */
import { stateChunkBytes, type RecurrentType } from "../contracts/engine.ts";
import type { ComputingEngine } from "./engine-surface.ts";
import type { EventWriter } from "./event-writer.ts";

export interface SavedSequence {
  readonly handle: number;
  /** A copy made for this alone, closed at the end. */
  readonly forked: boolean;
  /** Of text that the state has read. */
  readonly tokens: number;
  readonly fromPage: number;
  readonly recurrent: RecurrentType;
}

export class StateSaver {
  readonly sequence: SavedSequence;
  readonly #engine: ComputingEngine;
  readonly #writer: EventWriter;

  /** @throws the engine's errors */
  constructor(engine: ComputingEngine, writer: EventWriter, sequence: SavedSequence) {
    this.sequence = sequence;
    this.#engine = engine;
    this.#writer = writer;
    engine.beginSave(sequence.handle, sequence.fromPage, JSON.stringify(sequence.recurrent === "bf16" ? { state: "bf16" } : {}));
  }

  /** Sends the next chunk, or the end, to a reader that keeps up; `idle` where the next bytes are not here yet. */
  advance(): "idle" | "moved" | "done" {
    const { handle, tokens } = this.sequence;
    const bytes = this.#engine.readSaved(handle, stateChunkBytes);
    if (bytes === undefined) return "idle";
    if (bytes.length > 0) {
      this.#writer.send({ type: "state", tokens, bytes });
      return "moved";
    }
    this.close();
    this.#writer.send({ type: "saved", tokens });
    return "done";
  }

  abandon(reason: string): void {
    this.close();
    this.#writer.send({ type: "unsaved", tokens: this.sequence.tokens, reason });
  }

  /** Without a word to the reader. */
  close(): void {
    const { handle, forked } = this.sequence;
    this.#engine.endSave(handle);
    if (forked) this.#engine.close(handle);
  }
}
