/** One request being served: its sequence in the engine, what it has produced, and the stream that its reader holds. */
import type { BackendFinish } from "../contracts/finish.ts";
import type { TokenLogprob } from "../contracts/engine.ts";
import type { OpenedRequest } from "../contracts/request/open-state.ts";
import { ServiceError, type ServiceFailure } from "../contracts/errors.ts";
import type { GrammarService } from "../contracts/constraint.ts";
import { AnswerEvents } from "./answer-events.ts";
import { ConstrainedAnswer } from "./constrained-answer.ts";
import { engineErrorCode, type ComputingEngine } from "./engine-surface.ts";
import { EventWriter } from "./event-writer.ts";
import { stateLost } from "./failures.ts";
import { SequenceStates } from "./sequence-states.ts";
import type { StateRestorer } from "./state-restorer.ts";
import type { Candidate } from "./step-plan.ts";

/** What `Engine.sample` prints. */
interface Sample {
  readonly id: number;
  readonly stop: boolean;
  readonly logprob?: TokenLogprob;
}

export interface GenerationHost {
  /** Milliseconds. */
  now(): number;
  /** The reader wants more or has gone, or bytes of a state have come. */
  wake(): void;
  /** Whether so many more bytes of state would take nothing that others count on. */
  hasRoomFor(bytes: number): boolean;
  /** Who follows texts that are held to constraints, where there is somebody. */
  readonly grammar: GrammarService | undefined;
  readonly vocabularySize: number;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

export class Generation {
  readonly request: OpenedRequest;
  readonly writer: EventWriter;
  /** When it began to wait for memory; clock of the scheduler. */
  waitingSince: number;
  /** When it came; clock of the scheduler. */
  readonly createdAt: number;
  /** When its reader stopped keeping up; undefined while it does. */
  stalledSince: number | undefined;
  /** When its answer had ended; its state may still be on the way out. */
  finishedAt: number | undefined;
  /** Evictions since the last token it produced. */
  fruitlessEvictions = 0;
  /** The pass that it took part in last. */
  servedAt = 0;
  /** It takes part in a step that has not ended; nothing else may be done with its sequence. */
  stepping = false;
  /** Read in the background, and it has waited long enough: it is served as any other now, and keeps its memory until it ends. */
  insists = false;

  readonly #engine: ComputingEngine;
  readonly #host: GenerationHost;
  readonly #states: SequenceStates;
  readonly #events: AnswerEvents;
  /** The engine's sequence; undefined while it waits and holds no memory. */
  #handle: number | undefined;
  /** Kept while evicted, because its sampler goes on where it was. */
  #evicted = false;
  /** Tokens that it had read when it was evicted last, which it reads again. */
  #readBefore = 0;
  #generated = 0;
  /** Where the request has a constraint. */
  readonly #constrained: ConstrainedAnswer | undefined;
  /** Tokens that followed without a choice and of which no event has been sent. */
  #unsent: number[] = [];

  constructor(engine: ComputingEngine, request: OpenedRequest, host: GenerationHost) {
    this.#engine = engine;
    this.#host = host;
    this.request = request;
    const wake = (): void => {
      host.wake();
    };
    this.writer = new EventWriter({ onDrain: wake, onCancel: wake }, request.save?.end === true);
    this.createdAt = host.now();
    this.waitingSince = this.createdAt;
    this.#states = new SequenceStates(engine, this.writer, request, { now: () => host.now(), onArrival: wake });
    this.#events = new AnswerEvents(engine, request, this.writer);
    const { grammar, vocabularySize, sleep } = host;
    if (request.constraint !== undefined && grammar !== undefined)
      this.#constrained = new ConstrainedAnswer(engine, request, { grammar, vocabularySize, sleep, onSaid: () => this.#onSaid() });
  }

  get share(): string | null {
    return this.request.share ?? null;
  }

  /** Whether it takes only what others leave. */
  get yields(): boolean {
    return this.request.priority === "background" && !this.insists;
  }

  /** Whether at least half of what it has read was new when it was read: were it evicted now, no more is lost than was won. */
  get hasProgressed(): boolean {
    if (this.#handle === undefined || this.#evicted || this.#states.restorer !== undefined) return false;
    const read = this.#read(this.#handle);
    return 2 * (read - this.#readBefore) >= read;
  }

  /** Tokens its state holds once everything known so far is read. */
  get tokens(): number {
    return (this.request.resume?.tokens ?? 0) + this.request.prompt.length + this.#generated;
  }

  /** Token ids that it keeps in the heap. */
  get heldIds(): number {
    return this.request.prompt.length + (this.request.resume?.seen.length ?? 0);
  }

  /** What its state should have room for before it runs: what is known and a little growth. */
  bytesWithGrowth(growth: number): number {
    const bytes = this.#engine.stateBytes(this.tokens + Math.min(growth, this.request.maxTokens - this.#generated));
    return Math.max(bytes, this.#states.restorer?.bytes ?? 0);
  }

  get stateBytes(): number {
    if (this.#handle === undefined || this.#evicted) return 0;
    // What a state on its way in has yet to take is no longer free either.
    return Math.max(this.#engine.sequenceBytes(this.#handle), this.#states.restorer?.reservedBytes ?? 0);
  }

  /** Tokens that it has sampled. */
  get generated(): number {
    return this.#generated;
  }

  get finished(): boolean {
    return this.finishedAt !== undefined;
  }

  /** Whether its state could be made again from the tokens that are here. */
  get canReadAgain(): boolean {
    return this.request.resume === undefined && !this.finished;
  }

  /** Whether it is all about a state: what was read in the background is lost where that does not go out. */
  get isForItsState(): boolean {
    return this.request.priority === "background";
  }

  /** Whether the state that it came with is on its way in. */
  get restoring(): boolean {
    return this.#handle !== undefined && this.#states.restorer !== undefined;
  }

  /** Whether some of what it has read is in the engine. */
  get holdsState(): boolean {
    return this.#handle !== undefined && !this.#evicted;
  }

  /** Whether a state is on its way in or out. */
  get movesState(): boolean {
    return this.restoring || this.#states.saving || this.finished;
  }

  /** Whether memory is held only so that a state can go out. */
  get holdsForSaving(): boolean {
    return this.finished || this.#states.savesCopy;
  }

  get candidate(): Candidate | undefined {
    if (this.#handle === undefined || this.#evicted || this.stepping || this.#states.restorer !== undefined) return undefined;
    if (this.#states.saving && !this.#states.savesCopy) return undefined;
    // Before it is known what may come next, no pass can choose it.
    if (this.#awaitsGrammar) return undefined;
    const pending = this.#engine.pending(this.#handle);
    const position = this.tokens - pending;
    // Where a state is to be saved, reading is cut.
    const { share, yields, servedAt } = this;
    return { handle: this.#handle, pending: Math.min(pending, this.#states.nextSave - position), position, share, yields, servedAt };
  }

  /** Whether it has nothing to read until {@link advance} is called: a state that it waited for has gone out. */
  get halted(): boolean {
    if (this.#handle === undefined || this.stepping || this.#states.restorer !== undefined) return false;
    if (this.#states.saving || this.finished) return false;
    const pending = this.#engine.pending(this.#handle);
    return pending === 0 || this.tokens - pending === this.#states.nextSave;
  }

  /** Whether it can start as far as it is concerned. @throws ServiceError where the state that it came with is of no use */
  ready(): boolean {
    const { restorer } = this.#states;
    if (this.#constrained?.isKnown === false) return false;
    return restorer === undefined || restorer.inspect(this.#host.now()) !== undefined;
  }

  /** Takes a place in the engine: a new sequence, or the evicted one again. */
  start(): void {
    this.#evicted = false;
    if (this.#handle !== undefined) return;
    const { sampling, minTokens, stopTokens, topLogprobs, promptLogprobs, countSpikes = false, continued = 0 } = this.request;
    const { allowedTokens, bannedSeries, scoredTokens } = this.request;
    const rules = { minTokens, stopTokens, allowedTokens, bannedSeries };
    const parameters = { sampling, ...rules, topLogprobs, scoredTokens, promptLogprobs, countSpikes, continued };
    this.#handle = this.#engine.open(JSON.stringify(parameters));
    const { restorer } = this.#states;
    if (restorer === undefined) this.#feedPrompt(this.#handle);
    else restorer.begin(this.#handle);
  }

  /** Gives the state's memory back, to be read again later. Before the first token a new sequence is the same as the old one. */
  evict(): void {
    this.fruitlessEvictions += 1;
    this.abandonSave("its memory was needed for others");
    if (this.#handle === undefined) return;
    if (!this.#evicted) this.#readBefore = Math.max(this.#readBefore, this.#read(this.#handle));
    if (this.#generated === 0) {
      this.#events.restart();
      this.#close();
    } else {
      this.#engine.evict(this.#handle);
      this.#evicted = true;
    }
  }

  /**
   * Moves a state in or out by one chunk, if its reader keeps up. `stuck`: there is no memory for what comes in; nothing has been taken in yet,
   * and it waits again. @throws ServiceError where the incoming state is of no use
   */
  moveState(): "idle" | "moved" | "stuck" {
    if (this.#handle === undefined || this.writer.closed) return "idle";
    const { restorer } = this.#states;
    if (restorer !== undefined) return this.#restore(this.#handle, restorer);
    const isRead = !this.stepping && this.#engine.pending(this.#handle) === 0;
    if (this.finished && !this.#states.saving && isRead) this.#states.saveEnd(this.#handle, this.tokens);
    return this.#states.advanceSave() ? "moved" : "idle";
  }

  /** After a step or a state's move: reports what it brought. True when a token was sampled. */
  advance(): boolean {
    if (this.#handle === undefined || this.#states.restorer !== undefined || this.finished || this.writer.closed) return false;
    this.#events.collectPromptLogprobs(this.#handle);
    const pending = this.#engine.pending(this.#handle);
    const position = this.tokens - pending;
    if (position === this.#states.nextSave && !this.#states.saving) {
      const mayCopy = pending > 0 && this.#host.hasRoomFor(this.#engine.stateBytes(position));
      this.#states.saveNext(this.#handle, position, mayCopy);
    }
    if (pending > 0) {
      this.#events.sendReading(this.#handle, position);
      return false;
    }
    // States on the way come before the answer.
    if (this.#states.saving) return false;
    this.#events.sendPrompt();
    this.#sendForced(this.#handle);
    if (this.#generated >= this.request.maxTokens || this.#constrained?.isWhole === true) {
      this.#finish(this.#handle, this.#constrained?.isWhole === true ? "stop" : "length");
      return false;
    }
    this.#sample(this.#handle);
    return true;
  }

  /** Whether the engine itself had to give the state up that this came with. */
  get lostState(): boolean {
    if (this.#handle === undefined || this.request.resume === undefined || this.#states.restorer !== undefined) return false;
    return this.#engine.sequenceBytes(this.#handle) === 0;
  }

  /** Ends it; an answer that is whole stays so, and only its state does not come. */
  fail(failure: ServiceFailure): void {
    if (this.finished) this.writer.send({ type: "unsaved", tokens: this.tokens, reason: failure.message });
    else this.writer.send({ type: "error", failure });
  }

  /** Frees memory that is held for saving only, or stops the saving of what goes on. */
  abandonSave(reason: string): void {
    if (!this.#states.abandonSave(reason) && this.finished) this.writer.send({ type: "unsaved", tokens: this.tokens, reason });
  }

  /** Gives up a state that can't be made again from what is here. */
  loseState(): void {
    this.fail(stateLost());
  }

  /** Goes back to waiting before anything of the incoming state was taken in. */
  retreat(): void {
    this.#close();
    this.#states.restorer?.retreat();
  }

  /** Leaves the engine for good. */
  release(): void {
    this.#constrained?.close();
    this.#states.endRestore();
    this.#close();
  }

  get #awaitsGrammar(): boolean {
    return !this.finished && !this.writer.closed && this.#constrained?.isKnown === false;
  }

  /** Tokens that its state holds now. */
  #held(handle: number): number {
    return this.tokens - this.#engine.pending(handle);
  }

  /** Tokens that it has read itself. */
  #read(handle: number): number {
    return this.#held(handle) - (this.request.resume?.tokens ?? 0);
  }

  #close(): void {
    this.#states.close();
    if (this.#handle === undefined) return;
    const handle = this.#handle;
    this.#handle = undefined;
    this.#evicted = false;
    this.#engine.close(handle);
  }

  #restore(handle: number, restorer: StateRestorer): "idle" | "moved" | "stuck" {
    try {
      const progress = restorer.advance(this.#host.now());
      if (progress !== "done") return progress;
    } catch (error) {
      if (engineErrorCode(error) === "out_of_memory") return "stuck";
      throw error;
    }
    this.#states.endRestore();
    this.#feedPrompt(handle);
    this.writer.send({ type: "restored", tokens: this.request.resume?.tokens ?? 0 });
    return "moved";
  }

  #feedPrompt(handle: number): void {
    this.#engine.feed(handle, this.request.prompt);
    this.#constrain(handle);
  }

  /** The grammar has said what may come next; a sequence that has not started is told when it does. */
  #onSaid(): void {
    if (this.#handle !== undefined && this.#generated > 0 && !this.finished && !this.writer.closed) {
      try {
        if (this.#constrained?.isKnown === true) this.#constrain(this.#handle);
        if (this.#constrained?.isWhole === true && this.#unsent.length === 0) this.#finish(this.#handle, "stop");
      } catch (cause) {
        if (!(cause instanceof ServiceError)) throw cause;
        this.fail(cause.failure);
      }
    }
    this.#host.wake();
  }

  /** What follows without a choice is read with the next pass; its events come when the pass has. */
  #constrain(handle: number): void {
    if (this.#constrained === undefined) return;
    const forced = this.#constrained.takeForced(handle, this.request.maxTokens - this.#generated);
    this.#generated += forced.length;
    this.#unsent.push(...forced);
    this.#constrained.mask(handle);
  }

  #sendForced(handle: number): void {
    for (const id of this.#unsent) this.#events.sendForced(handle, this.#held(handle), id);
    this.#unsent = [];
  }

  #sample(handle: number): void {
    const { id, stop, logprob } = JSON.parse(this.#engine.sample(handle)) as Sample;
    this.fruitlessEvictions = 0;
    if (stop) {
      this.#finish(handle, "stop", id);
      return;
    }
    this.#generated += 1;
    this.#events.sendSampled(handle, this.#held(handle), id, logprob);
    if (this.#generated >= this.request.maxTokens) {
      this.#finish(handle, "length");
      return;
    }
    if (this.#constrained === undefined) return;
    this.#constrained.chosen(id);
    if (this.#constrained.isWhole) this.#finish(handle, "stop");
    else if (this.#constrained.isKnown) this.#constrain(handle);
  }

  #finish(handle: number, reason: BackendFinish, stopToken?: number): void {
    const end = { reason, ...(stopToken === undefined ? {} : { stopToken }), completionTokens: this.#generated };
    this.#events.sendFinish(handle, this.#held(handle), end);
    this.finishedAt = this.#host.now();
    this.#constrained?.close();
  }
}
