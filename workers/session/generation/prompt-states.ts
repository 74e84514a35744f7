/**
 * The states of a request that repeats its conversation, as stock OpenAI clients do: found by the prompt's tokens, and kept so that the next
 * request, which repeats this one and its answer, finds it.
 */
import type { Job } from "../../contracts/choice.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { fromObject } from "../calls.ts";
import { tokenChain } from "../snapshots/index/chain.ts";
import { pageTokens } from "../../state-file/page.ts";
import type { Findings, ModelIdentity, SnapshotStore, TokenChain } from "../snapshots/contract.ts";
import { bestStart } from "./best-start.ts";
import { coldStart, type States, type Start } from "./start.ts";
import { within } from "../../waiting/within.ts";

/** A lookup that takes longer is done without. */
const findMilliseconds = 2_000;

export interface PromptStatesOptions {
  readonly store: Pick<SnapshotStore, "find" | "open" | "put">;
  readonly identity: ModelIdentity;
  readonly tenant: string;
  readonly job: Job;
  /** Whether the backend sends states on the way too. */
  readonly onTheWay: boolean;
  readonly onStoreFailure: (step: "find" | "open" | "put", cause: unknown) => void;
}

export class PromptStates implements States {
  readonly #options: PromptStatesOptions;
  readonly #prompt: Uint32Array;
  #at: readonly number[] = [];

  constructor(options: PromptStatesOptions) {
    this.#options = options;
    this.#prompt = options.job.request.prompt;
  }

  /**
   * The end of the answer is worth keeping always. A stop string takes text away that the state has read, and what was said before it would
   * be lost with it, so there the prompt's last whole page is kept too.
   */
  get keeps() {
    const { job, onTheWay } = this.#options;
    const page = Math.floor((this.#prompt.length - 1) / pageTokens) * pageTokens;
    const at = job.stops.length > 0 && page > 0 ? [...this.#at, page] : this.#at;
    return { at: onTheWay ? [...new Set(at)].sort((left, right) => left - right) : [], end: job.request.maxTokens > 0 };
  }

  async start(): Promise<Start> {
    const prompt = this.#prompt;
    if (prompt.length <= pageTokens) return coldStart(prompt, "miss", "shorter than a page");
    const { store, identity, onStoreFailure } = this.#options;
    const chain = await this.#chain(prompt);
    let findings: Findings;
    try {
      findings = await within(store.find(identity, chain), findMilliseconds, noAnswer);
    } catch (cause) {
      onStoreFailure("find", cause);
      return coldStart(prompt, "miss", "the store could not be reached");
    }
    this.#at = findings.worthSaving === null ? [] : [findings.worthSaving];
    const best = await bestStart(findings.candidates, chain, prompt);
    if (best === undefined) return coldStart(prompt, "miss", "no snapshot of this text is kept");
    const { candidate, tokens } = best;
    return {
      tokens,
      prompt: prompt.subarray(tokens),
      snapshot: candidate.id,
      seen: this.#options.job.request.sampling.repetitionPenalty === 1 ? new Uint32Array() : distinct(prompt.subarray(0, tokens)),
      report: { outcome: "hit", tokens, reason: candidate.tier },
    };
  }

  /** The same for a choice whose end nobody goes on from. */
  findOnly(): States {
    return {
      keeps: null,
      start: () => this.start(),
      open: (start, fromPage) => this.open(start, fromPage),
      tokens: (start) => this.tokens(start),
      without: (start, reason) => this.without(start, reason),
      put: () => Promise.resolve(null),
    };
  }

  async open({ snapshot, tokens }: Start, fromPage: number): Promise<ReadableStream<Uint8Array>> {
    const { store, onStoreFailure } = this.#options;
    try {
      return (await fromObject(store.open(snapshot ?? "", tokens, fromPage))).bytes;
    } catch (cause) {
      onStoreFailure("open", cause instanceof ServiceError ? cause.failure.message : cause);
      throw cause;
    }
  }

  tokens({ tokens }: Start): Promise<Uint32Array> {
    return Promise.resolve(this.#prompt.slice(0, tokens));
  }

  /** Everything is in the prompt, so starting anew needs nobody. */
  without(_start: Start, reason: string): Promise<Start> {
    return Promise.resolve(coldStart(this.#prompt, "rejected", reason));
  }

  async put(start: Start, tokens: number, answer: readonly number[], bytes: ReadableStream<Uint8Array>) {
    const { store, identity, onStoreFailure } = this.#options;
    const text = Uint32Array.from([...this.#prompt, ...answer]).subarray(0, tokens);
    try {
      const chain = await this.#chain(text);
      const fromPage = start.snapshot === null ? 0 : Math.floor(start.tokens / pageTokens);
      const outcome = await store.put({ identity, tokens, parent: start.snapshot, fromPage, chain, owner: null, expires: null }, bytes);
      if (outcome.ok) return outcome.value;
      onStoreFailure("put", outcome.failure.message);
    } catch (cause) {
      onStoreFailure("put", cause);
    }
    return null;
  }

  async #chain(tokens: Uint32Array): Promise<TokenChain> {
    const { identity, tenant } = this.#options;
    return await tokenChain(identity, tenant, tokens);
  }
}

function distinct(tokens: Uint32Array): Uint32Array {
  return Uint32Array.from(new Set(tokens));
}

function noAnswer(): never {
  throw new Error(`no answer within ${String(findMilliseconds)} ms`);
}
