/**
 * A replica that batches: all requests that it computes go on by one step at a time (a token, or a chunk of a prompt), and a step takes longer the
 * more of them there are. Others wait in the order they came. It keeps what it has read, the least recently used goes first.
 */
import type { ReplicaLoad } from "../../workers/pool/replica.ts";
import type { EventQueue } from "./event-queue.ts";

/** One GPU with a large model: 20 tokens a second alone and 17 of each of eight; prompts at 4,000 tokens a second. */
const stepMilliseconds = 50;
const perDecodingMilliseconds = 1;
const chunkTokens = 512;
const perPrefillMilliseconds = 128;
export const computedRequests = 8;
export const mostRequests = 32;
const cachedTokens = 300_000;

export interface Job {
  /** What it has in common with other requests: its session, or its beginning. */
  readonly key: string;
  readonly promptTokens: number;
  /** Of the prompt's tokens, those that an earlier request with the same key has had. */
  readonly repeatedTokens: number;
  readonly answerTokens: number;
  /** Tokens that later requests with the same key may repeat. */
  readonly keptTokens: number;
  /** Computing begins; so many of the repeated tokens were still there. */
  started(foundTokens: number): void;
  firstToken(): void;
  ended(): void;
  /** The replica is gone; so many tokens have been sampled. */
  cut(answerTokens: number): void;
}

interface Running {
  readonly job: Job;
  isPrefill: boolean;
  /** The step at which its prompt has been read, and then that at which its answer ends. */
  target: number;
}

export class SimulatedReplica {
  readonly name: string;
  readonly #queue: EventQueue;
  readonly #slowness: number;
  readonly #running: Running[] = [];
  #waiting: Job[] = [];
  readonly #kept = new Map<string, number>();
  #keptTokens = 0;
  #step = 0;
  #steppedAt = 0;
  /** Of the events that were planned, only the newest is of what runs now. */
  #planned = 0;
  isAlive = true;

  /** @param slowness How many times as long as others' a step takes. */
  constructor(name: string, queue: EventQueue, slowness: number) {
    this.name = name;
    this.#queue = queue;
    this.#slowness = slowness;
  }

  get requests(): number {
    return this.#running.length + this.#waiting.length;
  }

  get load(): ReplicaLoad {
    return {
      running: this.#running.length,
      waiting: this.#waiting.length,
      mostRequests,
      mostRunning: computedRequests,
      freeShare: null,
      loaded: true,
    };
  }

  /** Whether it takes it. */
  offer(job: Job): boolean {
    if (this.requests >= mostRequests) return false;
    this.#advance();
    this.#waiting.push(job);
    this.#startWaiting();
    this.#plan();
    return true;
  }

  die(): void {
    this.#advance();
    this.isAlive = false;
    this.#planned += 1;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { job, isPrefill, target } of this.#running.splice(0)) {
      job.cut(isPrefill ? 0 : Math.min(job.answerTokens - 1, Math.floor(job.answerTokens - (target - this.#step))));
    }
    for (const job of waiting) job.cut(0);
  }

  get #milliseconds(): number {
    const prefill = this.#running.reduce((count, { isPrefill }) => count + Number(isPrefill), 0);
    return (
      this.#slowness * (stepMilliseconds + perDecodingMilliseconds * (this.#running.length - prefill) + perPrefillMilliseconds * prefill)
    );
  }

  /** Only between two changes of what runs: a step takes as long throughout. */
  #advance(): void {
    if (this.#running.length > 0) this.#step += (this.#queue.now - this.#steppedAt) / this.#milliseconds;
    this.#steppedAt = this.#queue.now;
  }

  #startWaiting(): void {
    while (this.#running.length < computedRequests) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      const found = Math.min(this.#kept.get(job.key) ?? 0, job.repeatedTokens);
      this.#running.push({ job, isPrefill: true, target: this.#step + (job.promptTokens - found) / chunkTokens });
      job.started(found);
    }
  }

  #plan(): void {
    if (this.#running.length === 0) return;
    const planned = ++this.#planned;
    const next = this.#running.reduce((least, { target }) => Math.min(least, target), Infinity);
    this.#queue.add(this.#queue.now + Math.max(0, next - this.#step) * this.#milliseconds, () => {
      if (planned === this.#planned) this.#reached(next);
    });
  }

  #reached(step: number): void {
    this.#advance();
    this.#step = Math.max(this.#step, step);
    const ended: Running[] = [];
    for (const one of this.#running) {
      if (one.target > this.#step) continue;
      if (!one.isPrefill) ended.push(one);
      else {
        one.isPrefill = false;
        one.target += one.job.answerTokens;
        one.job.firstToken();
      }
    }
    for (const one of ended) {
      this.#running.splice(this.#running.indexOf(one), 1);
      this.#keep(one.job);
    }
    this.#startWaiting();
    this.#plan();
    for (const { job } of ended) job.ended();
  }

  #keep({ key, keptTokens }: Job): void {
    this.#keptTokens += keptTokens - (this.#kept.get(key) ?? 0);
    // The newest use is the last.
    this.#kept.delete(key);
    this.#kept.set(key, keptTokens);
    for (const [oldest, tokens] of this.#kept) {
      if (this.#keptTokens <= cachedTokens) break;
      this.#kept.delete(oldest);
      this.#keptTokens -= tokens;
    }
  }
}
