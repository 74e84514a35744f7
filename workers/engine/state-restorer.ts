/** Brings a state that a request was handed into the engine, chunk by chunk, and believes nothing that it says. */
import { stateChunkBytes } from "../contracts/engine.ts";
import { ServiceError } from "../contracts/errors.ts";
import { engineErrorCode, type ComputingEngine, type StateFacts } from "./engine-surface.ts";
import { messageOf, stateRejected } from "../contracts/request/failures.ts";
import { stateLost } from "./failures.ts";
import type { OpenedState } from "../contracts/request/open-state.ts";
import { IncomingState, type IncomingStateHost } from "./incoming-state.ts";

/** Far more than a file's header; little enough for every request that may wait. */
const headerBytes = 1024;
/** What crosses into the engine's memory at once; it has to fit there beside everything else. */
const pushBytes = 1 << 16;
const silenceMilliseconds = 10_000;

export class StateRestorer {
  readonly #engine: ComputingEngine;
  readonly #resume: OpenedState;
  readonly #incoming: IncomingState;
  #facts: StateFacts | undefined;
  #handle: number | undefined;
  #pushed = false;

  constructor(engine: ComputingEngine, resume: OpenedState, host: IncomingStateHost) {
    this.#engine = engine;
    this.#resume = resume;
    this.#incoming = new IncomingState(resume.bytes, headerBytes, host);
  }

  /** What the state will take; 0 before its first bytes are here. */
  get bytes(): number {
    return this.#facts?.bytes ?? 0;
  }

  /** What the engine keeps free for it. */
  get reservedBytes(): number {
    return this.#pushed ? this.bytes : 0;
  }

  /** What the first bytes say; undefined until they are here. @throws ServiceError `state_rejected` */
  inspect(now: number): StateFacts | undefined {
    if (this.#facts !== undefined) return this.#facts;
    if (!this.#incoming.arrived) {
      this.#expectBytes(now);
      return undefined;
    }
    const facts = this.#guarded(
      () => JSON.parse(this.#engine.describeState(this.#incoming.peek().subarray(0, headerBytes))) as StateFacts | null,
    );
    if (facts === null) throw new ServiceError(stateRejected("the state's file ends within its header"));
    this.#requireTokens(facts.tokens);
    this.#facts = facts;
    return facts;
  }

  /** From now on chunks are taken in by this empty sequence. */
  begin(handle: number): void {
    this.#engine.beginRestore(handle, this.#resume.seen);
    this.#handle = handle;
    this.#incoming.allow(stateChunkBytes);
  }

  /** Takes the file back to where it was before `begin`; only where nothing has been taken in. */
  retreat(): void {
    this.#handle = undefined;
    this.#incoming.allow(headerBytes);
  }

  /**
   * Takes in what has come.
   * @throws ServiceError `state_rejected`, `state_lost`; the engine's `out_of_memory` where nothing has been taken in yet
   */
  advance(now: number): "idle" | "moved" | "done" {
    if (this.#handle === undefined) return "idle";
    const handle = this.#handle;
    if (this.#engine.takesState?.(handle) === false) return "idle";
    const chunk = this.#incoming.peek();
    if (chunk.length > 0) {
      for (let at = 0; at < chunk.length; at += pushBytes) {
        this.#guarded(() => {
          this.#engine.pushState(handle, chunk.subarray(at, at + pushBytes));
        });
        this.#pushed = true;
      }
      this.#incoming.drop();
      return "moved";
    }
    if (this.#incoming.status === "open") {
      this.#expectBytes(now);
      return "idle";
    }
    if (this.#incoming.status === "broken") throw new ServiceError(stateRejected("the state's stream broke off"));
    const tokens = this.#guarded(() => this.#engine.endRestore(handle));
    if (tokens === undefined) return "idle";
    this.#requireTokens(tokens);
    return "done";
  }

  cancel(): void {
    this.#incoming.cancel();
  }

  #expectBytes(now: number): void {
    if (this.#incoming.silence(now) < silenceMilliseconds) return;
    throw new ServiceError(stateRejected(`no byte of the state came for ${String(silenceMilliseconds / 1000)} s`));
  }

  #requireTokens(tokens: number): void {
    if (tokens === this.#resume.tokens) return;
    const message = `resume.tokens must be what the state holds, ${String(tokens)}; it is ${String(this.#resume.tokens)}`;
    throw new ServiceError(stateRejected(message));
  }

  #guarded<T>(use: () => T): T {
    try {
      return use();
    } catch (error) {
      const code = engineErrorCode(error);
      if (code === "invalid_state") throw new ServiceError(stateRejected(messageOf(error)), { cause: error });
      if (code === "out_of_memory" && this.#pushed) throw new ServiceError(stateLost(), { cause: error });
      throw error;
    }
  }
}
