/** Loads a model over several threads: what the first rank is given, all are given. */
import type { Engine, LoaderOptions, ModelLoader, RankEngine } from "../../../engine/engine-surface.ts";
import { Caller, createLine } from "../../../engine/ranks/calls.ts";
import { createMeeting, SharedExchange, type Meeting } from "../../../engine/ranks/exchange.ts";
import { RankedEngine } from "../../../engine/ranks/ranked-engine.ts";
import type { EnginePackage } from "../package.ts";
import type { Ranks } from "./ranks.ts";

interface Begun {
  readonly caller: Caller;
  readonly meeting: Meeting;
  readonly exchange: SharedExchange;
  readonly loader: ModelLoader<RankEngine>;
}

export class RankedLoader implements ModelLoader<Engine> {
  readonly #package: EnginePackage;
  readonly #options: LoaderOptions;
  readonly #ranks: Pick<Ranks, "count" | "tell" | "end">;
  /** The file's front, until its header is whole: that says how much the ranks exchange. */
  readonly #front: Uint8Array[] = [];
  #inspector: ReturnType<EnginePackage["createInspector"]> | undefined;
  #begun: Begun | undefined;

  constructor(built: EnginePackage, options: LoaderOptions, ranks: Pick<Ranks, "count" | "tell" | "end">) {
    [this.#package, this.#options, this.#ranks] = [built, options, ranks];
    this.#inspector = built.createInspector();
  }

  push(chunk: Uint8Array): void {
    if (this.#begun !== undefined) {
      this.#give(chunk, this.#begun);
      return;
    }
    this.#front.push(chunk.slice());
    if (this.#inspector?.push(chunk) !== true) return;
    const { exchangedBytes } = JSON.parse(this.#inspector.describe(new Uint32Array())) as { readonly exchangedBytes: number };
    this.#begun = this.#begin(exchangedBytes);
    for (const one of this.#front.splice(0)) this.#give(one, this.#begun);
  }

  /** All bytes are pushed: between them, the ranks need every one. */
  neededFrom(): number {
    return 0;
  }

  skip(bytes: number): void {
    throw new RangeError(`${String(bytes)} bytes cannot be skipped: some rank needs them`);
  }

  finish(): Engine {
    // A file that ends within its header is refused as ever.
    if (this.#begun === undefined) return this.#alone();
    const { caller, meeting, exchange, loader } = this.#begun;
    this.#ranks.tell(() => ({ type: "follow" }));
    return new RankedEngine({ caller, meeting, exchange, finish: () => loader.finish() });
  }

  free(): void {
    this.#ranks.end();
    this.#inspector?.free();
    this.#inspector = undefined;
    this.#begun?.loader.free();
  }

  #begin(exchangedBytes: number): Begun {
    this.#inspector?.free();
    this.#inspector = undefined;
    const ranks = this.#ranks.count + 1;
    const [meeting, line] = [createMeeting(ranks, exchangedBytes), createLine(this.#ranks.count)];
    const exchange = new SharedExchange(meeting, () => this.#package.buffer());
    const loader = this.#package.createRankLoader({ ...this.#options, rank: 0, ranks }, exchange);
    this.#ranks.tell((rank) => ({ type: "begin", options: { ...this.#options, rank, ranks }, meeting, line }));
    return { caller: new Caller(line), meeting, exchange, loader };
  }

  #give(chunk: Uint8Array, { loader }: Begun): void {
    const shared = new Uint8Array(new SharedArrayBuffer(chunk.byteLength));
    shared.set(chunk);
    this.#ranks.tell(() => ({ type: "push", chunk: shared }));
    loader.push(chunk);
  }

  #alone(): Engine {
    const loader = this.#package.createLoader(this.#options);
    for (const chunk of this.#front) loader.push(chunk);
    return loader.finish();
  }
}
