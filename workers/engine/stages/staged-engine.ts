/**
 * An engine whose model lies in stages: it has the sequences' tokens and chooses the next ones, and takes each pass through the stages, one call
 * a stage. While a pass is in one of them, others may be in the others. States lie where they were made; who leads knows what they take.
 */
import { mostLogitRows, type Cut, type Span, type StageCalls } from "../../contracts/stages.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { stateChunkBytes } from "../../contracts/engine.ts";
import { pause } from "../../waiting/within.ts";
import {
  EngineError,
  engineErrorCode,
  StatesLost,
  type ComputingEngine,
  type EngineDescription,
  type PartEngine,
  type PartOfFile,
} from "../engine-surface.ts";
import { engineUnavailable } from "../failures.ts";
import { JoinedState } from "./joined-state.ts";
import { SharedState } from "./shared-state.ts";
import { StageLink } from "./stage-link.ts";

/** How long a stage that has died may take to be back. */
const rejoinMilliseconds = 30_000;
const rejoinPauseMilliseconds = 250;
/** Where states of every kind of layer have been met. */
const measuredTokens = [1, 33, 129, 513, 2049, 8193, 32_769, 131_073, 2 ** 30] as const;

export interface StagedOptions {
  /** Of the engine that leads, then of each stage. */
  readonly cuts: readonly Cut[];
  /** sha256 of the weights file, hex, that every stage must have its part of. */
  readonly model: string;
  /** A stub of each stage, by its number from 1 on. */
  readonly connect: (stage: number) => StageCalls;
  /** Whole, below 2^53: tells this leader from any other. */
  readonly owner: number;
  /** Passes that may be on their way at once. */
  readonly stepsAtOnce: number;
  /** Hears of stages that have to be joined again, and why. */
  readonly onRejoin?: (cause: unknown) => void;
}

interface Leaving {
  readonly joined: JoinedState;
  /** The leading engine's own part, which it gives as long as it saves. */
  readonly own: { open: boolean };
}

export class StagedEngine implements ComputingEngine {
  readonly stepsAtOnce: number;
  onProgress: (() => void) | undefined;
  readonly #lead: PartEngine;
  readonly #options: StagedOptions;
  readonly #leadCut: Cut;
  readonly #links: readonly StageLink[];
  readonly #vocabulary: number;
  readonly #learnedSinks: number;
  readonly #whole: string;
  /** How much of a state lies in the engine that leads and in each stage, at the most. */
  #weights: readonly number[] = [];
  #rejoining: Promise<void> | undefined;
  /** Sequences of passes on their way, and those of them that are closed meanwhile. */
  readonly #passing = new Set<number>();
  readonly #closed = new Set<number>();
  readonly #leaving = new Map<number, Leaving>();
  readonly #coming = new Map<number, SharedState>();

  constructor(lead: PartEngine, options: StagedOptions) {
    const [leadCut, ...cuts] = options.cuts;
    if (leadCut === undefined) throw new RangeError("a plan of stages begins with the engine that leads");
    this.#lead = lead;
    this.#leadCut = leadCut;
    this.#options = options;
    this.stepsAtOnce = options.stepsAtOnce;
    const onLost = (cause: StatesLost): void => {
      this.#rejoin(cause);
    };
    const facts = JSON.parse(lead.describe()) as EngineDescription;
    const { model } = options;
    const { spikes } = facts;
    this.#links = cuts.map((cut, at) => new StageLink(String(at + 1), { cut, model, spikes }, () => options.connect(at + 1), onLost));
    this.#vocabulary = facts.vocabularySize;
    this.#learnedSinks = facts.learnedSinks;
    const vocabulary: Span = [0, facts.vocabularySize];
    this.#whole = JSON.stringify({ embedding: vocabulary, sublayers: [0, 2 * facts.layers], head: vocabulary } satisfies Cut);
  }

  /** Until every stage holds its part. @throws StatesLost where one can't be reached; EngineError where it can't load it */
  async join(): Promise<void> {
    const { owner } = this.#options;
    if (this.#learnedSinks === 0) await Promise.all(this.#links.map((link) => link.join(owner, new Uint8Array())));
    else {
      let learnedSinks = this.#lead.laySinks(new Uint8Array());
      for (const link of this.#links) {
        const laid = await link.join(owner, link.hasLayers ? learnedSinks : new Uint8Array());
        if (link.hasLayers) learnedSinks = laid;
      }
    }
    for (const { passTokens } of this.#links) this.#lead.limitPass(passTokens);
    const share = (cut: Cut): number =>
      Math.max(...measuredTokens.map((tokens) => this.#lead.partBytes(JSON.stringify(cut), tokens) / this.stateBytes(tokens)));
    this.#weights = this.#options.cuts.map(share);
  }

  describe(): string {
    return this.#lead.describe();
  }

  memoryBytes(): number {
    return this.#lead.memoryBytes();
  }

  /** Of whole states: what the stage with the least room leaves. */
  freeStateBytes(): number {
    const free = [this.#lead.freeStateBytes(), ...this.#links.map((link) => link.freeStateBytes())];
    return Math.floor(Math.min(...free.map((bytes, at) => bytes / Math.max(this.#weights[at] ?? 1, Number.EPSILON))));
  }

  stateBytes(tokens: number): number {
    return this.#lead.partBytes(this.#whole, tokens);
  }

  sequenceBytes(sequence: number): number {
    return this.#lead.sequenceBytes(sequence);
  }

  salientPositions(sequence: number, layer: number, head: number): Uint32Array {
    return this.#lead.salientPositions(sequence, layer, head);
  }

  open(parametersJson: string): number {
    return this.#lead.open(parametersJson);
  }

  feed(sequence: number, tokens: Uint32Array): void {
    this.#lead.feed(sequence, tokens);
  }

  pending(sequence: number): number {
    return this.#lead.pending(sequence);
  }

  step(plan: Uint32Array): Promise<void> {
    // Nothing is read until all stages are there again; whoever has planned this plans anew then.
    if (this.#rejoining !== undefined) return this.#rejoining;
    const { pass, message } = this.#lead.beginPass(this.#options.owner, plan);
    const sequences = [...plan].filter((_, at) => at % 2 === 0);
    for (const sequence of sequences) this.#passing.add(sequence);
    return this.#run(pass, message).finally(() => {
      for (const sequence of sequences) this.#passing.delete(sequence);
      this.#forget(sequences.filter((sequence) => this.#closed.delete(sequence)));
    });
  }

  sample(sequence: number): string {
    return this.#lead.sample(sequence);
  }

  setMask(sequence: number, mask?: Uint8Array): void {
    if (mask === undefined) this.#lead.setMask(sequence);
    else this.#lead.setMask(sequence, mask);
  }

  force(sequence: number, tokens: Uint32Array): void {
    this.#lead.force(sequence, tokens);
  }

  readLogits(): Float32Array {
    throw new EngineError("invalid_argument", "an engine whose model lies in stages hands out no logits");
  }

  takePromptLogprobs(sequence: number): string {
    return this.#lead.takePromptLogprobs(sequence);
  }

  spikeCounts(sequence: number): string {
    return this.#lead.spikeCounts(sequence);
  }

  spikeTotals(sequence: number): string {
    return this.#lead.spikeTotals(sequence);
  }

  evict(sequence: number): void {
    this.#lead.evict(sequence);
    this.#forget([sequence]);
  }

  fork(sequence: number): number {
    const copy = this.#lead.fork(sequence);
    for (const link of this.#withLayers()) link.tell((stub, epoch) => stub.fork(epoch, sequence, copy));
    return copy;
  }

  beginSave(sequence: number, fromPage: number, modeJson: string): number {
    const bytes = this.#lead.beginSave(sequence, fromPage, modeJson);
    const own = { open: true };
    const links = this.#withLayers();
    const stages = links.map((link) => link.ask((stub, epoch) => stub.save(epoch, sequence, fromPage, modeJson)));
    const files = [Promise.resolve(this.#ownFile(sequence, own)), ...stages];
    for (const file of files) file.catch(() => undefined);
    const joined = new JoinedState({
      headerBytes: this.#lead.stateHeaderBytes(),
      files,
      sharesOf: (header) => this.#shares(links, header, fromPage),
      onProgress: () => this.onProgress?.(),
    });
    this.#leaving.set(sequence, { joined, own });
    return bytes;
  }

  readSaved(sequence: number, most: number): Uint8Array | undefined {
    return this.#leaving.get(sequence)?.joined.take(most);
  }

  endSave(sequence: number): void {
    const leaving = this.#leaving.get(sequence);
    this.#leaving.delete(sequence);
    leaving?.joined.close();
    if (leaving !== undefined) leaving.own.open = false;
    this.#lead.endSave(sequence);
  }

  beginRestore(sequence: number, seen: Uint32Array): void {
    this.#lead.beginRestore(sequence, seen);
    const links = this.#withLayers();
    const ofStage = (link: StageLink) => async (file: ReadableStream<Uint8Array>) =>
      await link.ask((stub, epoch) => stub.restore(epoch, sequence, file));
    const shared = new SharedState({
      headerBytes: this.#lead.stateHeaderBytes(),
      sharesOf: (header) => this.#shares(links, header, 0),
      ready: () => this.#present(),
      restore: [(file) => this.#takeOwnFile(sequence, file), ...links.map(ofStage)],
      onProgress: () => this.onProgress?.(),
    });
    this.#coming.set(sequence, shared);
  }

  pushState(sequence: number, chunk: Uint8Array): void {
    this.#coming.get(sequence)?.push(chunk);
  }

  takesState(sequence: number): boolean {
    return this.#coming.get(sequence)?.settled ?? true;
  }

  endRestore(sequence: number): number | undefined {
    const tokens = this.#coming.get(sequence)?.end();
    if (tokens !== undefined) this.#coming.delete(sequence);
    return tokens;
  }

  describeState(firstBytes: Uint8Array): string {
    const described = this.#lead.describeState(firstBytes);
    const facts = JSON.parse(described) as { tokens: number; bytes: number } | null;
    return facts === null ? described : JSON.stringify({ ...facts, bytes: this.stateBytes(facts.tokens) });
  }

  close(sequence: number): void {
    this.#coming.get(sequence)?.close();
    this.#coming.delete(sequence);
    this.#lead.close(sequence);
    this.#forget([sequence]);
  }

  /** Frees what the stages have of these; what is in a pass, when that has ended. */
  #forget(sequences: readonly number[]): void {
    const now = sequences.filter((sequence) => !this.#passing.has(sequence));
    for (const sequence of sequences) if (this.#passing.has(sequence)) this.#closed.add(sequence);
    if (now.length === 0) return;
    for (const link of this.#withLayers()) link.tell((stub, epoch) => stub.forget(epoch, now));
  }

  async #run(pass: number, begun: Uint8Array): Promise<void> {
    try {
      let message = await this.#embedded(begun);
      for (const link of this.#withLayers()) {
        const rows = message;
        message = await link.ask((stub, epoch) => stub.pass(epoch, rows));
      }
      if (!this.#lead.endPass(pass, message)) await this.#takeLogits(pass, message);
    } catch (error) {
      this.#lead.dropPass(pass);
      throw error;
    }
  }

  /** Where neither the engine that leads nor the first stage has the whole embedding, its parts are asked for their rows. */
  async #embedded(message: Uint8Array): Promise<Uint8Array> {
    const isWhole = ([from, to]: Span): boolean => from === 0 && to === this.#vocabulary;
    if (isWhole(this.#leadCut.embedding) || this.#links.some(({ cut }) => isWhole(cut.embedding))) return message;
    const parts = this.#links.filter(({ cut }) => cut.embedding[0] < cut.embedding[1]);
    const rows = await Promise.all(parts.map((link) => link.ask((stub, epoch) => stub.embed(epoch, message))));
    const ranges = parts.flatMap(({ cut }) => cut.embedding);
    const [from, to] = this.#leadCut.embedding;
    if (from === to) return this.#lead.joinRows(message, Uint32Array.from(ranges), rows);
    return this.#lead.joinRows(message, Uint32Array.of(from, to, ...ranges), [this.#lead.embedPart(message), ...rows]);
  }

  /** From the parts of the head, all at once, for so many tokens at a time that no message is large. */
  async #takeLogits(pass: number, message: Uint8Array): Promise<void> {
    const parts = this.#links.filter(({ cut }) => cut.head[0] < cut.head[1]);
    const wanted = this.#lead.wanted(pass);
    for (let first = 0; first < wanted; first += mostLogitRows) {
      const count = Math.min(mostLogitRows, wanted - first);
      const answers = parts.map(async ({ cut }, at) => ({
        cut,
        bytes: (await parts[at]?.ask((stub, epoch) => stub.logits(epoch, message, first, count))) ?? new Uint8Array(),
      }));
      const logits = await Promise.all(answers);
      const { head } = this.#leadCut;
      if (head[0] < head[1]) logits.push({ cut: this.#leadCut, bytes: this.#lead.logitsPart(message, first, count) });
      const row = new Uint8Array(4 * this.#vocabulary);
      for (let token = 0; token < count; token += 1) {
        for (const { cut, bytes } of logits) {
          const width = 4 * (cut.head[1] - cut.head[0]);
          row.set(bytes.subarray(token * width, (token + 1) * width), 4 * cut.head[0]);
        }
        this.#lead.takeLogits(pass, row);
      }
    }
  }

  /** After a stage has been lost: joins all of them anew, once. Steps wait for it. */
  #rejoin(cause: StatesLost): void {
    if (this.#rejoining !== undefined) return;
    this.#options.onRejoin?.(cause);
    this.#rejoining = this.#joinAgain().finally(() => {
      this.#rejoining = undefined;
    });
    this.#rejoining.catch(() => undefined);
  }

  async #joinAgain(): Promise<void> {
    const begun = Date.now();
    for (;;) {
      try {
        await this.join();
        return;
      } catch (cause) {
        if (engineErrorCode(cause) === undefined) throw cause;
        if (Date.now() - begun > rejoinMilliseconds)
          throw new ServiceError(engineUnavailable("a stage of the model cannot be reached"), { cause });
        await pause(rejoinPauseMilliseconds);
      }
    }
  }

  /** Once every stage is there, a stage's object that has begun anew while nothing ran too: no state of before is wanted of it. */
  async #present(): Promise<void> {
    await Promise.allSettled(this.#withLayers().map((link) => link.ask((stub, epoch) => stub.measure(epoch))));
    await this.#rejoining;
  }

  #withLayers(): readonly StageLink[] {
    return this.#links.filter(({ hasLayers }) => hasLayers);
  }

  #shares(links: readonly StageLink[], header: Uint8Array, fromPage: number): PartOfFile[] {
    const cuts = [this.#leadCut, ...links.map(({ cut }) => cut)];
    return cuts.map((cut) => JSON.parse(this.#lead.partOfFile(JSON.stringify(cut), header, fromPage)) as PartOfFile);
  }

  /** The leading engine's own part of a file. */
  #ownFile(sequence: number, own: Leaving["own"]): ReadableStream<Uint8Array> {
    return new ReadableStream({
      pull: (controller) => {
        // A stream may ask at once, and once more after the save has ended.
        const bytes = own.open ? this.#lead.readSaved(sequence, stateChunkBytes) : new Uint8Array();
        if (bytes.length > 0) controller.enqueue(bytes);
        else controller.close();
      },
    });
  }

  async #takeOwnFile(sequence: number, file: ReadableStream<Uint8Array>): Promise<number> {
    for await (const chunk of file) this.#lead.pushState(sequence, chunk);
    return this.#lead.endRestore(sequence);
  }
}
