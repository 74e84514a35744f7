/**
 * Continuous batching over one engine. Each round: let go of what has ended, admit what fits (by bytes, shares first, then first
 * come first served), compute one step of the running sequences whose readers keep up, report it, and let the event loop run so that
 * cancels and new requests get in. Memory never runs out: a sequence that would not fit waits, and when growth does not fit, or a share waits
 * that has less than another, somebody gives way (`giving-way.ts`).
 * States go in and out by a chunk at a time, beside the steps.
 */
import type { Outcome } from "../contracts/outcome.ts";
import { ServiceError, type ServiceFailure } from "../contracts/errors.ts";
import { BetweenPasses } from "./between-passes.ts";
import { engineErrorCode, StatesLost, type ComputingEngine } from "./engine-surface.ts";
import { consumerGone, failureOf, overloaded } from "./failures.ts";
import { Generation, type GenerationHost } from "./generation.ts";
import { atRest, idleHolder, makingRoomFor, nextToGiveWay } from "./giving-way.ts";
import { LongPrompts } from "./long-prompts.ts";
import { defaultLimits, type SchedulerHost, type SchedulerLimits } from "./scheduler-limits.ts";
import type { Admission, OpenedRequest, RequestToCheck } from "../contracts/request/open-state.ts";
import { invalidField } from "../contracts/request/failures.ts";
import { fullQueue, retryAfterSeconds } from "./queue.ts";
import { hasPlace, inOrder, nextToAdmit } from "./shares.ts";
import { SharedPasses } from "./shared-passes.ts";
import type { Candidate } from "./step-plan.ts";
import { StepsOnTheWay } from "./steps-on-the-way.ts";
import { refusalOf, type RequestLimits } from "../contracts/request/check.ts";

/** Another object's sequences may free memory without a word, so a waiting queue looks again this often. */
const pollMilliseconds = 25;
/** With nothing waiting, only the bound on stalled readers has to be looked after. */
const stallPollMilliseconds = 1000;
/** Far below the time that one call may compute: Cloudflare gives 30 s unless told otherwise, and 300 s at most. */
const renewalMilliseconds = 15_000;
/** A sequence that cannot take one step after this many evictions never will. */
const mostFruitlessEvictions = 8;
const neededForOthers = "its memory was needed for others";

export class Scheduler implements Admission {
  readonly #engine: ComputingEngine;
  readonly #requestLimits: RequestLimits;
  readonly #host: SchedulerHost;
  readonly #limits: SchedulerLimits;
  /** Oldest first. */
  #running: Generation[] = [];
  /** Answers that have ended and whose states go out. */
  #saving: Generation[] = [];
  /** Evicted ones first, then by arrival; who of them is next, `shares.ts` says. */
  #waiting: Generation[] = [];
  #generatedTokens = 0;
  #looping = false;
  #wake: (() => void) | undefined;
  /** Counts passes, so that each share and each sequence comes first in some. */
  #round = 0;
  readonly #longPrompts: LongPrompts;
  readonly #passes = new SharedPasses();
  readonly #betweenPasses: BetweenPasses;
  readonly #stepsOnTheWay = new StepsOnTheWay(() => this.#wake?.());
  #defect: ServiceFailure | undefined;

  readonly #generationHost: GenerationHost;

  constructor(engine: ComputingEngine, requestLimits: RequestLimits, host: SchedulerHost, limits = defaultLimits) {
    this.#engine = engine;
    this.#requestLimits = requestLimits;
    this.#host = host;
    this.#limits = limits;
    this.#betweenPasses = new BetweenPasses(host, limits);
    this.#longPrompts = new LongPrompts(() => host.now());
    this.#generationHost = {
      now: () => host.now(),
      wake: () => this.#wake?.(),
      hasRoomFor: (bytes) => bytes + this.#reservedBytes() <= engine.freeStateBytes(),
      grammar: host.grammar,
      sleep: (milliseconds) => host.sleep(milliseconds),
      vocabularySize: requestLimits.vocabularySize,
    };
    if (engine.stepsAtOnce !== undefined) engine.onProgress = () => this.#wake?.();
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

  /** Why this request would not be taken now; undefined where it would. */
  refusalOf(request: RequestToCheck): ServiceFailure | undefined {
    if (request.constraint !== undefined && this.#host.grammar === undefined)
      return invalidField("constraint", "must be left out at an engine without a grammar service", request.constraint.kind);
    return refusalOf(request, this.#requestLimits) ?? this.#defect ?? fullQueue(request, this.#waiting, this.#limits);
  }

  submit(request: OpenedRequest): Outcome<ReadableStream<Uint8Array>> {
    const refusal = this.refusalOf(request);
    if (refusal !== undefined) return { ok: false, failure: refusal };
    const generation = new Generation(this.#engine, request, this.#generationHost);
    this.#waiting.push(generation);
    if (this.#looping) this.#wake?.();
    else {
      this.#looping = true;
      this.#host.waitUntil(this.#loop());
    }
    return { ok: true, value: generation.writer.stream };
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
        this.#stepsOnTheWay.settle();
        this.#dropEnded();
        if (this.#all().length === 0) {
          this.#passes.reset();
          return;
        }
        this.#admit();
        const moved = this.#moveStates();
        if (await this.#betweenPasses.givesStatesMore(moved, this.#statesOnTheWay())) continue;
        if (this.#step() || moved > 0) await this.#betweenPasses.yieldToOthers();
        else await this.#idle();
      }
    } catch (error) {
      // Only a defect gets here. Nobody may be left waiting because of it, and the engine isn't touched again, not even to release.
      this.#defect = failureOf(error);
      for (const generation of this.#all()) generation.fail(this.#defect);
      this.#running = [];
      this.#saving = [];
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
      if (!generation.writer.wantsMore || now - generation.waitingSince < this.#limits.waitingMilliseconds) continue;
      const seconds = String(this.#limits.waitingMilliseconds / 1000);
      generation.fail(overloaded(`no memory became free for ${seconds} s`, retryAfterSeconds));
    }
    for (const generation of this.#all()) {
      generation.writer.heartbeat(now);
      generation.stalledSince = generation.writer.wantsMore ? undefined : (generation.stalledSince ?? now);
      if (generation.stalledSince === undefined || now - generation.stalledSince < this.#limits.stallMilliseconds) continue;
      generation.fail(consumerGone(`the reader read nothing for ${String(this.#limits.stallMilliseconds / 1000)} s`));
    }
    const isOpen = (generation: Generation): boolean => {
      if (generation.writer.closed) generation.release();
      return !generation.writer.closed;
    };
    const open = [...this.#saving, ...this.#running].filter(isOpen);
    this.#running = open.filter(({ finished }) => !finished);
    this.#saving = open.filter(({ finished }) => finished);
    this.#waiting = this.#waiting.filter(isOpen);
  }

  #admit(): void {
    const now = this.#host.now();
    for (const generation of this.#waiting) {
      // From its coming on, because what is taken in and evicted again and again waits as well.
      if (generation.yields && now - generation.createdAt >= this.#limits.backgroundMilliseconds) generation.insists = true;
    }
    const ready = new Set(this.#waiting.filter((generation) => this.#isReady(generation)));
    while (true) {
      const next = nextToAdmit(
        this.#waiting.filter((generation) => ready.has(generation)),
        this.#running,
      );
      if (next === undefined || !hasPlace(next, this.#running, this.#limits.running)) return;
      if (!this.#fits(next)) {
        const holder = idleHolder(atRest(this.#running), atRest(this.#saving), this.#limits, now);
        const going = holder === undefined ? this.#makingRoomFor(next) : [holder];
        if (going.length === 0) return;
        for (const generation of going) this.#giveWay(generation);
        continue;
      }
      this.#waiting = this.#waiting.filter((generation) => generation !== next);
      if (this.#start(next)) this.#running.push(next);
    }
  }

  #makingRoomFor(waiting: Generation): readonly Generation[] {
    const free = this.#engine.freeStateBytes() - this.#reservedBytes();
    return makingRoomFor(waiting, this.#growthOf(waiting), free, atRest(this.#running));
  }

  /** One whose reader does not read would only take memory from the others. A state that is of no use ends its request here. */
  #isReady(generation: Generation): boolean {
    return generation.writer.wantsMore && this.#guard(generation, () => generation.ready(), false);
  }

  /** False when the engine refuses the sequence, which then ends with the engine's reason. */
  #start(generation: Generation): boolean {
    const started = this.#guard(
      generation,
      () => {
        generation.start();
        return true;
      },
      false,
    );
    if (!started) generation.release();
    return started;
  }

  #fits(candidate: Generation): boolean {
    return this.#growthOf(candidate) + this.#reservedBytes() <= this.#engine.freeStateBytes();
  }

  #growthOf(generation: Generation): number {
    return Math.max(0, generation.bytesWithGrowth(this.#limits.growthTokens) - generation.stateBytes);
  }

  /** Kept free for what runs. */
  #reservedBytes(): number {
    return this.#running.reduce((total, generation) => total + this.#growthOf(generation), 0);
  }

  /** One chunk of each share's states that go in, and one of those that go out; how many moved. */
  #moveStates(): number {
    const inwards = new Set<string | null>();
    const outwards = new Set<string | null>();
    for (const generation of [...this.#running, ...this.#saving]) {
      const movedShares = generation.restoring ? inwards : outwards;
      if (!movedShares.has(generation.share)) {
        const move = this.#guard(generation, () => generation.moveState(), "idle");
        if (move === "stuck") {
          generation.retreat();
          this.#waitAgain(generation);
        }
        if (move === "moved") movedShares.add(generation.share);
      }
      if (!generation.writer.closed && generation.halted && this.#advance(generation)) this.#generatedTokens += 1;
    }
    const moved = inwards.size + outwards.size;
    if (moved > 0) this.#dropEnded();
    return moved;
  }

  #statesOnTheWay(): number {
    return [...this.#running, ...this.#saving].filter(({ movesState }) => movesState).length;
  }

  /** One forward pass. False when there was nothing to compute, or no more of it may be on the way. */
  #step(): boolean {
    const { stepsAtOnce = 1 } = this.#engine;
    if (this.#stepsOnTheWay.count >= stepsAtOnce) return false;
    const byHandle = new Map<number, Generation>();
    const candidates: Candidate[] = [];
    for (const generation of [...this.#running, ...this.#saving]) {
      const candidate = generation.writer.wantsMore ? generation.candidate : undefined;
      if (candidate === undefined) continue;
      candidates.push(candidate);
      byHandle.set(candidate.handle, generation);
    }
    this.#round += 1;
    const stepping = this.#all().filter((generation) => generation.stepping).length;
    // Where several steps may be on the way, each takes its part of the sequences, so that every stage has one.
    const most = Math.ceil((candidates.length + stepping) / stepsAtOnce);
    const ordered = inOrder(candidates, this.#round).slice(0, most);
    const { taking, budget } = this.#longPrompts.next(ordered, this.#limits.prefillTokensPerStep);
    const plan = this.#passes.plan(taking, budget);
    if (plan.length === 0) {
      this.#longPrompts.idle();
      return false;
    }
    const taken = [...plan].filter((_, at) => at % 2 === 0).flatMap((handle) => byHandle.get(handle) ?? []);
    let step: void | Promise<void>;
    try {
      step = this.#engine.step(plan);
    } catch (error) {
      if (engineErrorCode(error) === "out_of_memory") return this.#makeRoom();
      throw error;
    }
    this.#betweenPasses.passed(plan, this.#statesOnTheWay());
    for (const generation of taken) generation.servedAt = this.#round;
    if (step === undefined) this.#endStep(taken);
    else {
      const end = (): void => {
        this.#endStep(taken);
      };
      const fail = (error: unknown): void => {
        this.#stepFailed(taken, error);
      };
      this.#stepsOnTheWay.follow(step, taken, end, fail);
    }
    return true;
  }

  #endStep(taken: readonly Generation[]): void {
    for (const generation of taken) {
      if (!this.#advance(generation)) continue;
      this.#generatedTokens += 1;
      if (generation.generated === 1) this.#betweenPasses.beganAnswer();
    }
    // At once, so that a reader who sees the end finds the memory free.
    this.#dropEnded();
  }

  /** A stage has lost states, or had no room for more: who can reads again, and the others are begun again by whoever handed their state over. */
  #stepFailed(taken: readonly Generation[], error: unknown): void {
    if (engineErrorCode(error) === undefined && !(error instanceof ServiceError)) throw error;
    const lost = error instanceof StatesLost ? atRest([...this.#running, ...this.#saving]) : taken;
    for (const generation of lost) {
      if (generation.writer.closed) continue;
      if (error instanceof ServiceError) generation.fail(error.failure);
      else if (generation.holdsState) this.#giveWay(generation);
      if (generation.fruitlessEvictions > mostFruitlessEvictions) {
        generation.fail(overloaded("this sequence did not fit into the engine's memory", retryAfterSeconds));
      }
    }
    this.#dropEnded();
  }

  /** True when it has a new token. Where the model gives it no usable number it ends, and nobody else does. */
  #advance(generation: Generation): boolean {
    return this.#guard(generation, () => generation.advance(), false);
  }

  /** What fails for a reason that is known ends this generation, and nobody else. */
  #guard<T>(generation: Generation, use: () => T, failed: T): T {
    try {
      return use();
    } catch (error) {
      if (!(error instanceof ServiceError) && engineErrorCode(error) === undefined) throw error;
      generation.fail(failureOf(error));
      return failed;
    }
  }

  /** False when nothing is left to run, so that the loop waits for other objects' sequences to end. */
  #makeRoom(): boolean {
    const lost = this.#running.filter(({ lostState }) => lostState);
    for (const generation of lost) generation.loseState();
    if (lost.length > 0) {
      this.#dropEnded();
      return true;
    }
    const next = nextToGiveWay(atRest(this.#running), atRest(this.#saving));
    if (next === undefined) return false;
    this.#giveWay(next);
    // What yields has given way by itself, and insists in time.
    if (next.fruitlessEvictions > mostFruitlessEvictions && !next.yields) {
      next.fail(overloaded("this sequence did not fit into the engine's memory", retryAfterSeconds));
    }
    return this.#running.length > 0;
  }

  #giveWay(generation: Generation): void {
    if (generation.holdsForSaving) {
      generation.abandonSave(neededForOthers);
      if (generation.writer.closed) generation.release();
      this.#saving = this.#saving.filter(({ writer }) => !writer.closed);
      return;
    }
    if (!generation.canReadAgain) {
      generation.loseState();
      generation.release();
      this.#running = this.#running.filter((other) => other !== generation);
      return;
    }
    generation.evict();
    generation.waitingSince = this.#host.now();
    this.#waitAgain(generation);
  }

  #waitAgain(generation: Generation): void {
    this.#running = this.#running.filter((other) => other !== generation);
    this.#waiting.unshift(generation);
  }

  #all(): Generation[] {
    return [...this.#running, ...this.#saving, ...this.#waiting];
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
