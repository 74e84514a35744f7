/** One stage as the leading engine sees it: its stub, what it has said of itself, and its failures as errors. */
import type { Cut, StageAnswer, StageCalls, StageHolding } from "../../contracts/stages.ts";
import { release } from "../../contracts/release.ts";
import { within } from "../../waiting/within.ts";
import { EngineError, StatesLost, type EngineErrorCode } from "../engine-surface.ts";

/** A stage that says nothing for so long is taken for dead; far longer than any part of a pass takes. */
const silenceMilliseconds = 30_000;
/** While it loads what it holds. */
const joinMilliseconds = 120_000;
/** What a stage said of its memory so long ago may be of before another leader's states came or went. */
const oldMilliseconds = 20;

const engineCodes: readonly string[] = ["invalid_state", "state_lost", "invalid_argument", "out_of_memory"] satisfies EngineErrorCode[];

export class StageLink {
  readonly #holds: StageHolding;
  readonly #name: string;
  readonly #connect: () => StageCalls;
  readonly #onLost: (cause: StatesLost) => void;
  /** One stub, on which calls keep their order; a new one after every failure of a call. */
  #stub: StageCalls | undefined;
  #epoch = "";
  #freeStateBytes = 0;
  #heardAt = 0;
  /** Calls that have no answer yet. */
  #calls = 0;
  passTokens = 1;

  /** `onLost`: hears of it as soon as a call finds that the stage which was joined is no longer there. */
  constructor(name: string, holds: StageHolding, connect: () => StageCalls, onLost: (cause: StatesLost) => void) {
    this.#name = name;
    this.#holds = holds;
    this.#connect = connect;
    this.#onLost = onLost;
  }

  get cut(): Cut {
    return this.#holds.cut;
  }

  /** Whether it has layers, and so a part of each state. */
  get hasLayers(): boolean {
    return this.cut.sublayers[0] < this.cut.sublayers[1];
  }

  /** As the stage said last; where that is a while ago and nothing is on its way, it is asked, and the next look finds its answer. */
  freeStateBytes(): number {
    if (this.hasLayers && this.#calls === 0 && Date.now() - this.#heardAt >= oldMilliseconds)
      this.tell((stub, epoch) => stub.measure(epoch));
    return this.#freeStateBytes;
  }

  /** Loads it; what it makes of the learned sinks. @throws StatesLost where it can't be reached */
  async join(owner: number, learnedSinks: Uint8Array): Promise<Uint8Array> {
    const welcome = await this.#call((stub) => stub.join(owner, learnedSinks), joinMilliseconds);
    const { cut, model, spikes } = welcome.holds;
    const [held, planned] = [{ cut, model, spikes }, this.#holds].map((holds) =>
      JSON.stringify({ model: holds.model, spikes: holds.spikes, ...holds.cut }),
    );
    if (held !== planned)
      throw new EngineError("unsupported_model", `stage ${this.#name} holds ${String(held)}; the engine's plan says ${String(planned)}`);
    this.#epoch = welcome.epoch;
    this.passTokens = welcome.passTokens;
    return welcome.learnedSinks;
  }

  /** @throws StatesLost where it can't be reached or has begun anew; EngineError with its own code */
  async ask<T>(call: (stub: StageCalls, epoch: string) => Promise<StageAnswer<T>>): Promise<T> {
    const epoch = this.#epoch;
    try {
      return await this.#call((stub) => call(stub, epoch), silenceMilliseconds);
    } catch (error) {
      // What was asked of the stage before it was joined again says nothing of what is there now.
      if (error instanceof StatesLost && epoch === this.#epoch) this.#onLost(error);
      throw error;
    }
  }

  /** What has no answer that matters. */
  tell(call: (stub: StageCalls, epoch: string) => Promise<StageAnswer<null>>): void {
    this.ask(call).catch(() => undefined);
  }

  async #call<T>(call: (stub: StageCalls) => Promise<StageAnswer<T>>, milliseconds: number): Promise<T> {
    let answer: StageAnswer<T>;
    this.#calls += 1;
    try {
      this.#stub ??= this.#connect();
      answer = await within(call(this.#stub), milliseconds, () => {
        throw new Error(`no answer for ${String(milliseconds / 1000)} s`);
      });
    } catch (cause) {
      this.#stub = undefined;
      throw new StatesLost(`stage ${this.#name} cannot be reached`, { cause });
    } finally {
      this.#calls -= 1;
      this.#heardAt = Date.now();
    }
    if (answer.ok) {
      this.#freeStateBytes = answer.freeStateBytes;
      if (!(answer.value instanceof ReadableStream)) release(answer);
      return answer.value;
    }
    const { code, message } = answer.failure;
    release(answer);
    const known = engineCodes.find((one) => one === code) as EngineErrorCode | undefined;
    throw known === undefined ? new StatesLost(`stage ${this.#name}: ${message}`) : new EngineError(known, message);
  }
}
