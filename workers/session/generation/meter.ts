/**
 * Counts the tokens that backends read and sample. Every attempt passes here, whatever it is for: an answer, a document, a state that is made
 * again from its tokens.
 */
import { logLine } from "../../observe/log-line.ts";

export type MeteredWork = "answer" | "decision" | "document" | "rebuild";

export interface MeteredUse {
  /** Attempts at backends. */
  readonly attempts: number;
  /** Tokens that backends were given to read: those of attempts after a failure again. */
  readonly readTokens: number;
  /** Tokens that no attempt had to read, because their state was there. */
  readonly cachedTokens: number;
  readonly sampledTokens: number;
}

export class Meter {
  readonly #work: MeteredWork;
  readonly #model: string;
  #use: MeteredUse = { attempts: 0, readTokens: 0, cachedTokens: 0, sampledTokens: 0 };

  /** `model`: its public id. */
  constructor(work: MeteredWork, model: string) {
    this.#work = work;
    this.#model = model;
  }

  get use(): MeteredUse {
    return this.#use;
  }

  /** A backend has taken an attempt that reads so many tokens after a state of so many. */
  attempt(readTokens: number, cachedTokens: number): void {
    const { attempts, readTokens: read, cachedTokens: cached } = this.#use;
    this.#use = { ...this.#use, attempts: attempts + 1, readTokens: read + readTokens, cachedTokens: cached + cachedTokens };
  }

  /** So many tokens of the newest attempt were read after all. */
  notCached(tokens: number): void {
    const { readTokens: read, cachedTokens: cached } = this.#use;
    this.#use = { ...this.#use, readTokens: read + tokens, cachedTokens: cached - tokens };
  }

  sampled(): void {
    this.#use = { ...this.#use, sampledTokens: this.#use.sampledTokens + 1 };
  }

  /** Once no more comes. */
  report(): void {
    logLine("info", "tokens_metered", { work: this.#work, model: this.#model, ...this.#use });
  }
}
