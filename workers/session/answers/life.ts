/** A generation and its readers, from its order or, after its object was lost, from its log. */
import type { Job } from "../../contracts/choice.ts";
import { ServiceError } from "../../contracts/errors.ts";
import type { CacheReport, OpenStream, StreamEntry, TenantId } from "../../contracts/session.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { engineOf } from "../generation/backend.ts";
import type { SessionEnvironment } from "../environment.ts";
import { cancelled, internalError } from "../failures.ts";
import { identityOf } from "../identity.ts";
import { ownerOf, type TurnResult, type TurnTaker } from "../sessions/contract.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { AnswerEntries } from "./answer-entries.ts";
import { AnswerLog, type LogRecord } from "./answer-log.ts";
import { EntryFeed } from "./entry-feed.ts";
import { GenerationRun, type RunEnd } from "./generation-run.ts";
import type { LogRows } from "./log-rows.ts";
import { noMemory } from "../generation/no-memory.ts";
import type { StoredOrder } from "./order-rows.ts";
import { PromptMemory } from "../generation/prompt-memory.ts";
import type { Memory } from "../generation/start.ts";
import { turnMemory } from "../generation/turn-memory.ts";

const GRACE_SECONDS = 10;
const KEEP_SECONDS = 600;
const UNDER_WAY_MILLISECONDS = 2_000;
const STATELESS_PATIENCE_MILLISECONDS = 1_000;
const TURN_PATIENCE_MILLISECONDS = 10_000;
const END_TURN_ATTEMPTS = 6;
const END_TURN_PAUSE_MILLISECONDS = 50;

export interface LifeOptions {
  readonly stored: StoredOrder;
  readonly model: ServedModel;
  readonly environment: SessionEnvironment;
  readonly rows: LogRows;
  readonly session: TurnTaker | undefined;
  readonly store: SnapshotStore | undefined;
  /** Milliseconds, Unix, until when its readers may come back. */
  readonly onEnded: (keptUntil: number) => void;
  /** It has ended and nobody reads it: the log alone will do. */
  readonly onIdle: () => void;
}

export class Life {
  readonly #options: LifeOptions;
  readonly #log: AnswerLog;
  readonly #entries: AnswerEntries;
  readonly #feed: EntryFeed;
  readonly #run: GenerationRun;
  /** Entries of several choices, whose order is known only once it is written down. */
  #held: StreamEntry[] = [];
  readonly #end = Promise.withResolvers<undefined>();
  #ended = false;
  #settled = false;
  #grace: ReturnType<typeof setTimeout> | undefined;

  constructor(options: LifeOptions) {
    this.#options = options;
    const { stored, model, environment, rows } = options;
    const { jobs } = stored.order;
    this.#log = new AnswerLog(rows, () => {
      for (const entry of this.#held.splice(0)) this.#feed.append(entry);
    });
    this.#entries = new AnswerEntries(jobs, model.tokenizer);
    this.#feed = new EntryFeed({
      older: (from, to) => this.#older(from, to),
      onReaders: (count) => {
        this.#onReaders(count);
      },
    });
    for (const record of this.#log.read()) this.#show(this.#entries.push(record));
    if (this.#entries.ended) this.#close();
    this.#run = new GenerationRun({
      chooseBackend: () => engineOf(environment, { tenant: stored.order.tenant, priority: "interactive" }),
      model: stored.order.model,
      jobs,
      memories: jobs.map((job) => this.#memory(job)),
      entries: this.#entries,
      record: (record) => {
        this.#record(record);
      },
      onRetry: (failure, sampled) => {
        logLine("info", "generation_retried", { stream: stored.order.stream, code: failure.code, sampled });
      },
      onDefect: (cause) => {
        logLine("error", "generation_defect", { stream: stored.order.stream, cause: describeCause(cause) });
      },
      patience: stored.prepared === null ? STATELESS_PATIENCE_MILLISECONDS : TURN_PATIENCE_MILLISECONDS,
      settle: (end) => this.#settle(end),
    });
  }

  get tenant(): TenantId | null {
    return this.#options.stored.order.tenant;
  }

  /** Once every reader can read its terminal entry. */
  get end(): Promise<void> {
    return this.#end.promise;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether its session, where it has one, knows of its end. */
  get settled(): boolean {
    return this.#settled || (this.#ended && this.#options.session === undefined);
  }

  get readers(): number {
    return this.#feed.readers;
  }

  /** @throws ServiceError when a backend refuses it. */
  async begin(): Promise<void> {
    try {
      await this.#run.begin();
    } catch (cause) {
      await this.#settle({
        failure: cause instanceof ServiceError ? cause.failure : internalError("It could not begin."),
        stopped: false,
        saved: null,
      });
      throw cause;
    }
  }

  /** Lets go of what has begun and will not run. */
  async abandon(): Promise<void> {
    await this.#run.discard();
  }

  async run(): Promise<void> {
    await this.#run.pump();
  }

  /** After the object was lost: begins where the log ends. */
  async resume(): Promise<void> {
    if (this.readers === 0) this.#onReaders(0);
    await this.#run.pump();
  }

  stop(): void {
    this.#run.stop();
  }

  /** After its time: everything that was written of it. */
  forget(): void {
    this.#log.delete();
  }

  /** Once it is known whether a state that was found was also taken, because the answer's header says it; or after a while. */
  async openUnderWay(): Promise<OpenStream> {
    const open = this.open(0);
    await Promise.race([this.#run.underWay, new Promise((resolve) => setTimeout(resolve, UNDER_WAY_MILLISECONDS))]);
    return { ...open, cache: this.#run.cache };
  }

  open(after: number): OpenStream {
    const { order, prepared } = this.#options.stored;
    const cache: CacheReport = this.#run.cache;
    return {
      stream: order.stream,
      entries: this.#feed.read(after),
      model: order.model,
      recipe: order.recipe,
      cache,
      ...(prepared === null ? {} : { session: prepared.session }),
    };
  }

  #record(record: LogRecord): void {
    this.#log.append(record);
    this.#show(this.#entries.push(record));
    if (!this.#entries.ended) return;
    this.#log.flush();
    this.#close();
    this.#options.onEnded(Date.now() + Number(this.#options.environment.STREAM_KEEP_SECONDS ?? KEEP_SECONDS) * 1000);
  }

  #show(entries: readonly StreamEntry[]): void {
    const several = this.#options.stored.order.jobs.length > 1 && !this.#entries.ended;
    if (several) this.#held.push(...entries);
    else for (const entry of [...this.#held.splice(0), ...entries]) this.#feed.append(entry);
  }

  #close(): void {
    this.#ended = true;
    clearTimeout(this.#grace);
    this.#feed.close();
    this.#end.resolve(undefined);
    if (this.#feed.readers === 0) this.#options.onIdle();
  }

  *#older(from: number, to: number): Generator<string, void, undefined> {
    const { stored, model } = this.#options;
    const entries = new AnswerEntries(stored.order.jobs, model.tokenizer);
    for (const record of this.#log.read()) {
      for (const entry of entries.push(record)) {
        if (entry.number === null || entry.number < from) continue;
        if (entry.number >= to) return;
        yield `${JSON.stringify(entry)}\n`;
      }
    }
  }

  /** Whether anybody still reads decides how long an answer that belongs to no session goes on. */
  #onReaders(count: number): void {
    clearTimeout(this.#grace);
    const { order } = this.#options.stored;
    if (count === 0 && this.ended) this.#options.onIdle();
    if (count > 0 || this.ended || order.turn !== undefined) return;
    const seconds = order.resumable ? Number(this.#options.environment.STREAM_GRACE_SECONDS ?? GRACE_SECONDS) : 0;
    const cancel = () => {
      if (this.#feed.readers === 0) this.#run.cancel(cancelled("The client left and did not come back."));
    };
    if (seconds === 0) cancel();
    else this.#grace = setTimeout(cancel, seconds * 1000);
  }

  #memory(job: Job): Memory {
    const { stored, session, store } = this.#options;
    const { order, prepared } = stored;
    const { prompt } = job.request;
    const onStoreFailure = (step: string, cause: unknown) => {
      const what = typeof cause === "string" ? cause : describeCause(cause);
      logLine("error", "snapshot_store_failed", { stream: order.stream, step, cause: what });
    };
    const identity = identityOf(order.model);
    if (store === undefined || order.tenant === null) return noMemory(prompt, "no key, so nothing is kept");
    if (job.request.promptLogprobs !== null) return noMemory(prompt, "the prompt is to be scored");
    if (prepared !== null && session !== undefined)
      return turnMemory({
        store,
        identity,
        job,
        prepared,
        owner: ownerOf(prepared.session, prepared.turn),
        rebuild: () => session.rebuildBase(prepared.turn),
        onStoreFailure,
      });
    // Choices of one prompt end in different states; the client goes on from the first.
    const first = order.jobs.find(({ promptIndex }) => promptIndex === job.promptIndex) === job;
    const memory = new PromptMemory({ store, identity, tenant: order.tenant, job, onStoreFailure });
    return first ? memory : memory.findOnly();
  }

  async #settle({ failure, stopped, saved }: RunEnd): Promise<void> {
    const { stored, session } = this.#options;
    const { order, prepared } = stored;
    const usages = order.jobs.map((_job, at) => this.#entries.usage(at));
    const usage = {
      promptTokens: usages.reduce((sum, { promptTokens }) => sum + promptTokens, 0),
      cachedTokens: usages.reduce((sum, { cachedTokens }) => sum + cachedTokens, 0),
      completionTokens: this.#entries.completionTokens,
    };
    logLine("info", "generation_ended", { stream: order.stream, ...usage, ending: failure?.code ?? (stopped ? "stopped" : "whole") });
    const choice = this.#entries.choices[0];
    const job = order.jobs[0];
    if (session === undefined || prepared === null || choice === undefined || job === undefined) return;
    // What a stop string took away, the state has read: it is of no use to what follows.
    const usable = saved !== null && choice.answer.length === choice.sampled.length ? saved : null;
    const finish = failure === null ? (stopped ? "cancelled" : choice.reason) : failure.code === "cancelled" ? "cancelled" : "failed";
    const result: TurnResult = {
      turn: prepared.turn,
      stream: order.stream,
      text: choice.text,
      messages: order.turn?.messages ?? [],
      finish,
      prompt: job.request.prompt,
      answer: choice.answer,
      snapshot: usable === null ? null : { id: usable.id, tokens: usable.tokens },
      usage,
    };
    await this.#endTurn(session, result, ownerOf(prepared.session, prepared.turn));
    this.#settled = true;
  }

  /** A session that can't be reached now is asked again: what was said must not be lost to it. */
  async #endTurn(session: TurnTaker, result: TurnResult, owner: string): Promise<void> {
    for (let attempt = 0; attempt < END_TURN_ATTEMPTS; attempt++) {
      try {
        const outcome = await session.endTurn(result);
        if (outcome.ok) return;
        logLine("error", "turn_not_ended", { stream: result.stream, code: outcome.failure.code });
        // It was deleted meanwhile, so that nobody else would let go of this turn's state.
        if (outcome.failure.code === "session_not_found") await this.#options.store?.release(owner);
        return;
      } catch (cause) {
        logLine("error", "turn_not_ended", { stream: result.stream, cause: describeCause(cause) });
        await new Promise((resolve) => setTimeout(resolve, END_TURN_PAUSE_MILLISECONDS * 2 ** attempt));
      }
    }
  }
}
