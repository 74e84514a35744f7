/**
 * One model that several ranks compute between them, with the surface of an engine that is alone: whoever drives it need not know. This thread
 * is the first rank, which chooses tokens; the others follow each of its calls.
 */
import { joined } from "../../encoding/joined.ts";
import type { Engine, RankDescription, RankEngine } from "../engine-surface.ts";
import type { Answer, Call, Caller, RankError, RankMemory } from "./calls.ts";
import { brokenCode, setBack, type Meeting, type SharedExchange } from "./exchange.ts";
import { endCall, leavingCode } from "./follow.ts";
import { StateJoiner, StateSplitter, type StateRuns } from "./state-parts.ts";

/** What the engine says of a refusal that another rank has met. */
const ofAnother = "the part of another rank";
/** A part of a state that goes to the engine in one call: as much as crosses into it at once. */
const pushBytes = 1 << 16;
/** A part of a rank's state that comes at once. */
const pulledBytes = 1 << 18;

export interface RankedParts {
  readonly caller: Caller;
  readonly meeting: Meeting;
  readonly exchange: SharedExchange;
  /** Loads this rank's part; the others load theirs at the same time. */
  readonly finish: () => RankEngine;
}

type SiteCounts = Readonly<Record<string, number | readonly number[]>>;

export class RankedEngine implements Engine {
  readonly #parts: Omit<RankedParts, "finish">;
  readonly #own: RankEngine;
  readonly #facts: RankDescription;
  readonly #heads: readonly number[];
  #memory: readonly RankMemory[] = [];
  #saves = new Map<number, StateJoiner>();
  #restores = new Map<number, { header: Uint8Array; splitter: StateSplitter | undefined }>();
  #sampled: (readonly [sequence: number, token?: number])[] = [];
  #broken: Error | undefined;

  /** Once every rank has all bytes of the file. */
  constructor({ finish, ...parts }: RankedParts) {
    this.#parts = parts;
    const { own, others } = this.#all({ method: "finish", parameters: [] }, finish);
    this.#own = own;
    const facts = JSON.parse(own.describe()) as RankDescription;
    const weights = others.map(({ json }) => (json as RankDescription).weightBytes);
    this.#facts = { ...facts, weightBytes: weights.reduce((sum, bytes) => sum + bytes, facts.weightBytes) };
    this.#heads = facts.kvHeadsOfRanks;
  }

  describe(): string {
    return JSON.stringify(this.#facts);
  }

  /** Of all ranks. */
  memoryBytes(): number {
    return this.#memory.reduce((sum, { memoryBytes }) => sum + memoryBytes, this.#own.memoryBytes());
  }

  /** What a whole state may still take: every rank holds its heads' share. */
  freeStateBytes(): number {
    const free = [this.#own.freeStateBytes(), ...this.#memory.map(({ freeStateBytes }) => freeStateBytes)];
    return Math.min(...free.flatMap((bytes, rank) => ((this.#heads[rank] ?? 0) > 0 ? [this.#ofAll(bytes, rank)] : [])));
  }

  stateBytes(tokens: number): number {
    return this.#ofAll(this.#own.stateBytes(tokens), 0);
  }

  sequenceBytes(sequence: number): number {
    return this.#ofAll(this.#own.sequenceBytes(sequence), 0);
  }

  salientPositions(sequence: number, layer: number, head: number): Uint32Array {
    let [rank, first] = [0, 0];
    while (rank < this.#heads.length - 1 && head >= first + (this.#heads[rank] ?? 0)) {
      first += this.#heads[rank] ?? 0;
      rank += 1;
    }
    if (rank === 0 || head >= this.#facts.kvHeads) return this.#own.salientPositions(sequence, layer, head);
    try {
      this.#own.salientPositions(sequence, layer, 0);
    } catch {
      // Refused whatever the head: in the words for the one that was asked for.
      return this.#own.salientPositions(sequence, layer, head);
    }
    const call = { method: "salientPositions", parameters: [sequence, layer, head - first], to: rank };
    const { others } = this.#all(call, () => undefined);
    return Uint32Array.from(others[rank - 1]?.json as number[]);
  }

  open(parametersJson: string): number {
    return this.#sameSequence({ method: "open", parameters: [parametersJson] }, () => this.#own.open(parametersJson));
  }

  feed(sequence: number, tokens: Uint32Array): void {
    this.#all({ method: "feed", parameters: [sequence], parts: [bytesOf(tokens)] }, () => {
      this.#own.feed(sequence, tokens);
    });
  }

  pending(sequence: number): number {
    return this.#own.pending(sequence);
  }

  step(plan: Uint32Array): void {
    this.#all({ method: "step", parameters: [], parts: [bytesOf(plan)] }, () => {
      this.#own.step(plan);
    });
  }

  sample(sequence: number): string {
    this.#check();
    const sampled = this.#own.sample(sequence);
    const { id, stop } = JSON.parse(sampled) as { readonly id: number; readonly stop: boolean };
    // Told with the next call: a meeting of its own would cost as much as a layer's.
    this.#sampled.push(stop ? [sequence] : [sequence, id]);
    return sampled;
  }

  /** The first rank chooses. */
  setMask(sequence: number, mask?: Uint8Array): void {
    this.#check();
    this.#own.setMask(sequence, mask);
  }

  force(sequence: number, tokens: Uint32Array): void {
    this.#all({ method: "force", parameters: [sequence], parts: [bytesOf(tokens)] }, () => {
      this.#own.force(sequence, tokens);
    });
  }

  readLogits(sequence: number, count: number): Float32Array {
    return this.#all({ method: "readLogits", parameters: [sequence, count] }, () => this.#own.readLogits(sequence, count)).own;
  }

  takePromptLogprobs(sequence: number): string {
    return this.#own.takePromptLogprobs(sequence);
  }

  /** Queries fire where their heads are; all else fires alike in every rank, and the first counts it. */
  spikeCounts(sequence: number): string {
    const { own, others } = this.#all(
      { method: "spikeCounts", parameters: [sequence] },
      () => JSON.parse(this.#own.spikeCounts(sequence)) as Record<string, SiteCounts>[] | null,
    );
    for (const { json } of others)
      for (const [layer, sites] of ((json ?? []) as Record<string, SiteCounts>[]).entries()) {
        const target = own?.[layer];
        if (target !== undefined && sites.query !== undefined) target.query = sum(target.query, sites.query);
      }
    return JSON.stringify(own);
  }

  spikeTotals(sequence: number): string {
    const layers = JSON.parse(this.spikeCounts(sequence)) as Record<string, SiteCounts>[] | null;
    if (layers === null) return "null";
    const sites = layers.flatMap((layer) => Object.values(layer));
    // Zeros where nothing has fired, under the names that the engine gives them.
    const zeros = JSON.parse(this.#own.spikeTotals(sequence)) as SiteCounts;
    const nothing = Object.fromEntries(
      Object.entries(zeros).map(([name, value]) => [name, typeof value === "number" ? 0 : value.map(() => 0)]),
    );
    return JSON.stringify(sites.reduce<SiteCounts>((total, counts) => sum(total, counts), nothing));
  }

  evict(sequence: number): void {
    this.#all({ method: "evict", parameters: [sequence] }, () => {
      this.#own.evict(sequence);
    });
  }

  fork(sequence: number): number {
    return this.#sameSequence({ method: "fork", parameters: [sequence] }, () => this.#own.fork(sequence));
  }

  beginSave(sequence: number, fromPage: number, modeJson: string): number {
    const { own, others } = this.#all({ method: "beginSave", parameters: [sequence, fromPage, modeJson] }, () => {
      const bytes = this.#own.beginSave(sequence, fromPage, modeJson);
      return { bytes, header: this.#own.readSaved(sequence, this.#headerBytes) };
    });
    const runs = JSON.parse(this.#own.stateRuns(own.header, fromPage)) as StateRuns;
    // Every rank's part has the header.
    this.#all({ method: "readSaved", parameters: [sequence, own.header.byteLength] }, () => undefined);
    this.#saves.set(sequence, new StateJoiner(own.header, runs, this.#heads));
    return others.reduce((sum, { json }) => sum + (json as number) - own.header.byteLength, own.bytes);
  }

  readSaved(sequence: number, most: number): Uint8Array {
    const joiner = this.#saves.get(sequence);
    if (joiner === undefined) return this.#own.readSaved(sequence, most);
    return joiner.read(most, (rank) => {
      if (rank === 0) return this.#own.readSaved(sequence, pulledBytes);
      const { others } = this.#all({ method: "readSaved", parameters: [sequence, pulledBytes], to: rank }, () => undefined);
      return others[rank - 1]?.bytes ?? new Uint8Array(0);
    });
  }

  endSave(sequence: number): void {
    this.#saves.delete(sequence);
    this.#all({ method: "endSave", parameters: [sequence] }, () => {
      this.#own.endSave(sequence);
    });
  }

  beginRestore(sequence: number, seen: Uint32Array): void {
    this.#all({ method: "beginRestore", parameters: [sequence] }, () => {
      this.#own.beginRestore(sequence, seen);
    });
    this.#restores.set(sequence, { header: new Uint8Array(0), splitter: undefined });
  }

  pushState(sequence: number, chunk: Uint8Array): void {
    for (let at = 0; at < chunk.byteLength;) at += this.#push(sequence, chunk.subarray(at, at + pushBytes));
  }

  endRestore(sequence: number): number {
    this.#restores.delete(sequence);
    return this.#all({ method: "endRestore", parameters: [sequence] }, () => this.#own.endRestore(sequence)).own;
  }

  describeState(firstBytes: Uint8Array): string {
    return this.#own.describeState(firstBytes);
  }

  close(sequence: number): void {
    this.#saves.delete(sequence);
    this.#restores.delete(sequence);
    this.#all({ method: "close", parameters: [sequence] }, () => {
      this.#own.close(sequence);
    });
  }

  /** The other ranks end their loops. */
  end(): void {
    this.#parts.caller.begin({ method: endCall, parameters: [] });
  }

  get #headerBytes(): number {
    return this.#own.stateHeaderBytes();
  }

  /** Returns how many bytes have gone: a chunk of the header alone, or one of what follows. */
  #push(sequence: number, chunk: Uint8Array): number {
    const restore = this.#restores.get(sequence);
    if (restore === undefined) {
      this.#pushParts(
        sequence,
        Array.from(this.#heads, () => chunk),
      );
      return chunk.byteLength;
    }
    const missing = this.#headerBytes - restore.header.byteLength;
    if (missing > 0) {
      const bytes = chunk.subarray(0, missing);
      this.#pushParts(
        sequence,
        Array.from(this.#heads, () => bytes),
      );
      restore.header = joined([restore.header, bytes]);
      return bytes.byteLength;
    }
    restore.splitter ??= new StateSplitter(JSON.parse(this.#own.stateRuns(restore.header, 0)) as StateRuns, this.#heads);
    this.#pushParts(sequence, restore.splitter.split(chunk));
    return chunk.byteLength;
  }

  #pushParts(sequence: number, [own = new Uint8Array(0), ...parts]: readonly Uint8Array[]): void {
    try {
      this.#all({ method: "pushState", parameters: [sequence], parts }, () => {
        this.#own.pushState(sequence, own);
      });
    } catch (error) {
      this.#restores.delete(sequence);
      throw error;
    }
  }

  /** A rank's share of a state as that of the whole: every head takes as much. */
  #ofAll(bytes: number, rank: number): number {
    return Math.floor((bytes * this.#facts.kvHeads) / (this.#heads[rank] ?? 1));
  }

  #sameSequence(call: Call, own: () => number): number {
    const { own: id, others } = this.#all(call, own);
    if (others.some(({ json }) => json !== id)) throw this.#break(new Error("the ranks of a model have lost step: their sequences differ"));
    return id;
  }

  /** Every rank does the same at the same time. */
  #all<T>(call: Call, work: () => T): { own: T; others: Extract<Answer, { ok: true }>[] } {
    this.#check();
    const { caller, exchange, meeting } = this.#parts;
    caller.begin({ ...call, sampled: this.#sampled });
    this.#sampled = [];
    let own: { readonly value: T } | { readonly error: unknown };
    try {
      own = { value: work() };
    } catch (error) {
      exchange.leave(leavingCode(error));
      own = { error };
    }
    const answers = caller.answers();
    this.#memory = answers.map(({ memory }) => memory);
    const failed = answers.flatMap((answer) => (answer.ok ? [] : [answer.error]));
    if (!("error" in own) && failed.length === 0) return { own: own.value, others: answers as Extract<Answer, { ok: true }>[] };
    setBack(meeting);
    const errors = ["error" in own ? own.error : undefined, ...failed.map(thrown)].filter((error) => error !== undefined);
    const broken = errors.find((error) => leavingCode(error) === brokenCode);
    if (broken !== undefined) throw this.#break(broken);
    // All refuse alike, and where one has refused by itself, its words are the ones that say why.
    const error = errors.find((one) => one instanceof Error && !one.message.includes(ofAnother)) ?? errors[0];
    if (!("error" in own) && call.to === undefined) throw this.#break(error);
    throw asError(error);
  }

  #check(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** From now on every call fails: what the ranks hold is no longer of one text. */
  #break(cause: unknown): Error {
    this.#broken = new Error(`a rank of the model has failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    return this.#broken;
  }
}

function thrown({ name, message, code }: RankError): Error {
  return Object.assign(new Error(message), { name }, code === undefined ? {} : { code });
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

const bytesOf = (numbers: Uint32Array): Uint8Array => new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);

function sum(one: SiteCounts | undefined, other: SiteCounts): SiteCounts {
  if (one === undefined) return other;
  const listOf = (counts: number | readonly number[] | undefined): readonly number[] => (typeof counts === "object" ? counts : []);
  const added = ([name, value]: [string, number | readonly number[]]): [string, number | number[]] => {
    const more = other[name];
    if (typeof value === "number") return [name, value + (typeof more === "number" ? more : 0)];
    return [name, value.map((count, at) => count + (listOf(more)[at] ?? 0))];
  };
  return Object.fromEntries(Object.entries(one).map(added));
}
