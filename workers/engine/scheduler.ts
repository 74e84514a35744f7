/**
 * Continuous batching over one engine. Each turn of the loop: let go of what has ended, admit what fits (by bytes, first come first served),
 * compute one step for every running sequence whose reader keeps up, report it, and give the event loop a turn so that cancels and new
 * requests get in. Memory never runs out: a sequence that would not fit waits, and when growth does not fit the youngest gives way.
 */
import type { GenerateRequest, Outcome } from "../contracts/engine.ts";
import type { ServiceFailure } from "../contracts/errors.ts";
import { engineErrorCode, type Engine } from "./engine-surface.ts";
import { consumerGone, failureOf, overloaded } from "./failures.ts";
import { Generation } from "./generation.ts";
import { planStep, type PlanEntry } from "./step-plan.ts";
import { refusalOf, type RequestLimits } from "./validate.ts";

export interface SchedulerLimits {
  /** Prompt tokens of one step; bounds how long running streams wait for a newcomer's prompt. */
  readonly prefillTokensPerStep: number;
  /** Sequences computed together; each costs logits and activations beside its state. */
  readonly running: number;
  /** Requests that may wait; one more is refused. */
  readonly waiting: number;
  /** Tokens of their prompts together: what they take of the heap. */
  readonly waitingTokens: number;
  readonly waitingMilliseconds: number;
  /** A reader that takes nothing for this long loses its generation. */
  readonly stallMilliseconds: number;
  /** A reader that takes nothing for this long gives its memory to one that waits. */
  readonly stallEvictionMilliseconds: number;
  /** Room kept for each running sequence's next tokens when another one is admitted. */
  readonly growthTokens: number;
}

export const defaultLimits: SchedulerLimits = {
  prefillTokensPerStep: 64,
  running: 16,
  waiting: 256,
  waitingTokens: 1 << 20,
  waitingMilliseconds: 120_000,
  stallMilliseconds: 120_000,
  stallEvictionMilliseconds: 1000,
  growthTokens: 32,
};

/** What the scheduler needs of its surroundings. */
export interface SchedulerHost {
  /** Keeps the object alive until the promise settles. */
  waitUntil(promise: Promise<unknown>): void;
  /** Milliseconds. */
  now(): number;
  /** Gives the event loop a turn. */
  yield(): Promise<void>;
  sleep(milliseconds: number): Promise<void>;
  /** Called while there is work: asks the runtime for more of the time that one call may compute. */
  renew(): void;
  /** The engine failed in a way it never should; it can't be trusted with anything more. */
  onDefect(error: unknown): void;
}

/** Another object's sequences may free memory without a word, so a waiting queue looks again this often. */
const pollMilliseconds = 25;
/** With nothing waiting, only the bound on stalled readers has to be looked after. */
const stallPollMilliseconds = 1000;
/** Far below the time that one call may compute: Cloudflare gives 30 s unless told otherwise, and 300 s at most. */
const renewalMilliseconds = 15_000;
/** A sequence that cannot take one step after this many evictions never will. */
const mostFruitlessEvictions = 8;
const retryAfterSeconds = 5;

export class Scheduler {
  readonly #engine: Engine;
  readonly #requestLimits: RequestLimits;
  readonly #host: SchedulerHost;
  readonly #limits: SchedulerLimits;
  /** Oldest first. */
  #running: Generation[] = [];
  /** Evicted ones first, then by arrival. */
  #waiting: Generation[] = [];
  #generatedTokens = 0;
  #looping = false;
  #wake: (() => void) | undefined;
  /** Counts steps, so that prompts take turns. */
  #turn = 0;
  #defect: ServiceFailure | undefined;

  constructor(engine: Engine, requestLimits: RequestLimits, host: SchedulerHost, limits = defaultLimits) {
    this.#engine = engine;
    this.#requestLimits = requestLimits;
    this.#host = host;
    this.#limits = limits;
  }

  get running(): number {
    return this.#running.length;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get generatedTokens(): number {
    return this.#generatedTokens;
  }

  submit(request: GenerateRequest): Outcome<ReadableStream<Uint8Array>> {
    const refusal = refusalOf(request, this.#requestLimits);
    if (refusal !== undefined) return { ok: false, failure: refusal };
    if (this.#defect !== undefined) return { ok: false, failure: this.#defect };
    if (this.#waiting.length >= this.#limits.waiting) {
      const failure = overloaded(`${String(this.#waiting.length)} requests are waiting, which is as many as may`, retryAfterSeconds);
      return { ok: false, failure };
    }
    const tokens = this.#waiting.reduce((total, waiting) => total + waiting.tokens, request.prompt.length);
    if (this.#waiting.length > 0 && tokens > this.#limits.waitingTokens) {
      const held = String(tokens - request.prompt.length);
      const failure = overloaded(
        `prompts of ${held} tokens are waiting; with this one of ${String(request.prompt.length)} they would be more than the ${String(this.#limits.waitingTokens)} that may`,
        retryAfterSeconds,
      );
      return { ok: false, failure };
    }
    const wake = (): void => this.#wake?.();
    const generation = new Generation(this.#engine, request, { onDrain: wake, onCancel: wake }, this.#host.now());
    this.#waiting.push(generation);
    if (this.#looping) wake();
    else {
      this.#looping = true;
      this.#host.waitUntil(this.#loop());
    }
    return { ok: true, value: generation.sink.stream };
  }

  async #loop(): Promise<void> {
    try {
      // Not within the call that submitted: its stream should be on its way first, and requests of one moment start together.
      await this.#host.yield();
      let renewedAt = this.#host.now();
      while (true) {
        if (this.#host.now() - renewedAt >= renewalMilliseconds) {
          renewedAt = this.#host.now();
          this.#host.renew();
        }
        this.#dropEnded();
        if (this.#running.length + this.#waiting.length === 0) return;
        this.#admit();
        if (this.#step()) await this.#host.yield();
        else await this.#idle();
      }
    } catch (error) {
      // Only a defect gets here. Nobody may be left waiting because of it, and the engine isn't touched again, not even to release.
      this.#defect = failureOf(error);
      for (const generation of [...this.#running, ...this.#waiting]) generation.fail(this.#defect);
      this.#running = [];
      this.#waiting = [];
      this.#host.onDefect(error);
    } finally {
      this.#looping = false;
    }
  }

  /** Lets go of finished and cancelled generations, and ends those that nothing can be done for. */
  #dropEnded(): void {
    const now = this.#host.now();
    for (const generation of this.#waiting) {
      if (!generation.sink.wantsMore || now - generation.waitingSince < this.#limits.waitingMilliseconds) continue;
      const seconds = String(this.#limits.waitingMilliseconds / 1000);
      generation.fail(overloaded(`no memory became free for ${seconds} s`, retryAfterSeconds));
    }
    for (const generation of [...this.#running, ...this.#waiting]) {
      generation.sink.heartbeat(now);
      generation.stalledSince = generation.sink.wantsMore ? undefined : (generation.stalledSince ?? now);
      if (generation.stalledSince === undefined || now - generation.stalledSince < this.#limits.stallMilliseconds) continue;
      generation.fail(consumerGone(`the reader took nothing for ${String(this.#limits.stallMilliseconds / 1000)} s`));
    }
    const isOpen = (generation: Generation): boolean => {
      if (generation.sink.closed) generation.release();
      return !generation.sink.closed;
    };
    this.#running = this.#running.filter(isOpen);
    this.#waiting = this.#waiting.filter(isOpen);
  }

  #admit(): void {
    const now = this.#host.now();
    while (this.#running.length < this.#limits.running) {
      // One whose reader does not read would only take memory from the others.
      const next = this.#waiting.find(({ sink }) => sink.wantsMore);
      if (next === undefined) return;
      if (!this.#fits(next)) {
        const idle = this.#running.findLast(
          ({ stalledSince: since }) => since !== undefined && now - since >= this.#limits.stallEvictionMilliseconds,
        );
        if (idle === undefined) return;
        this.#evict(idle);
        continue;
      }
      this.#waiting = this.#waiting.filter((generation) => generation !== next);
      if (this.#start(next)) this.#running.push(next);
    }
  }

  /** False when the engine refuses the sequence, which then ends with the engine's reason. */
  #start(generation: Generation): boolean {
    try {
      generation.start();
      return true;
    } catch (error) {
      if (engineErrorCode(error) === undefined) throw error;
      generation.fail(failureOf(error));
      generation.release();
      return false;
    }
  }

  #fits(candidate: Generation): boolean {
    const wanted = (generation: Generation): number =>
      Math.max(0, this.#engine.stateBytes(generation.tokensWithGrowth(this.#limits.growthTokens)) - generation.stateBytes);
    const reserved = this.#running.reduce((total, generation) => total + wanted(generation), 0);
    return wanted(candidate) + reserved <= this.#engine.freeStateBytes();
  }

  /** One forward pass. False when there was nothing to compute. */
  #step(): boolean {
    const byHandle = new Map<number, Generation>();
    const entries: PlanEntry[] = [];
    for (const generation of this.#running) {
      const entry = generation.sink.wantsMore ? generation.planEntry : undefined;
      if (entry === undefined) continue;
      entries.push(entry);
      byHandle.set(entry.handle, generation);
    }
    this.#turn += 1;
    const first = this.#turn % Math.max(1, entries.length);
    const plan = planStep([...entries.slice(first), ...entries.slice(0, first)], this.#limits.prefillTokensPerStep);
    if (plan.length === 0) return false;
    try {
      this.#engine.step(plan);
    } catch (error) {
      if (engineErrorCode(error) === "out_of_memory") return this.#makeRoom();
      throw error;
    }
    for (let index = 0; index < plan.length; index += 2) {
      const generation = byHandle.get(plan[index] ?? 0);
      if (generation !== undefined && this.#advance(generation)) this.#generatedTokens += 1;
    }
    // At once, so that a reader who sees the end finds the memory free.
    this.#dropEnded();
    return true;
  }

  /** True when it has a new token. Where the model gives it no usable number it ends, and nobody else does. */
  #advance(generation: Generation): boolean {
    try {
      return generation.advance();
    } catch (error) {
      if (engineErrorCode(error) === undefined) throw error;
      generation.fail(failureOf(error));
      return false;
    }
  }

  /** The youngest gives way. False when nothing is left to run, so that the loop waits for other objects' sequences to end. */
  #makeRoom(): boolean {
    const youngest = this.#running.at(-1);
    if (youngest === undefined) return false;
    this.#evict(youngest);
    if (youngest.fruitlessEvictions > mostFruitlessEvictions) {
      youngest.fail(overloaded("the engine's memory did not hold this sequence", retryAfterSeconds));
    }
    return this.#running.length > 0;
  }

  #evict(generation: Generation): void {
    this.#running = this.#running.filter((other) => other !== generation);
    generation.evict();
    generation.waitingSince = this.#host.now();
    this.#waiting.unshift(generation);
  }

  /** Until a reader drains or leaves, a request arrives, or it is time to look again. */
  async #idle(): Promise<void> {
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await Promise.race([woken, this.#host.sleep(this.#waiting.length > 0 ? pollMilliseconds : stallPollMilliseconds)]);
    this.#wake = undefined;
  }
}
