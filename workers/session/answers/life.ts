/** A generation and its readers, from its order or, after its object was lost, from its log. */
import type { Job } from "../../contracts/choice.ts";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import type { Placed } from "../../contracts/pool.ts";
import type { CacheReport } from "../../contracts/cache-report.ts";
import type { TenantId } from "../../contracts/tenant.ts";
import type { OpenStream, StreamEntry } from "../../contracts/session.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import type { ServedModel } from "../../models/served-model.ts";
import { askPool } from "../generation/pool.ts";
import type { SessionEnvironment } from "../environment.ts";
import { cancelled, internalError } from "../failures.ts";
import { streamSettings } from "../settings.ts";
import { ownerOf, type TurnTaker } from "../sessions/contract.ts";
import { unixSeconds } from "../sessions/record.ts";
import type { SnapshotStore } from "../snapshots/contract.ts";
import { chooseStates, type StateSources } from "../generation/choose-states.ts";
import { Meter } from "../generation/meter.ts";
import { endTurn, turnResult } from "./turn-end.ts";
import { AnswerEntries } from "./answer-entries.ts";
import { AnswerLog, type LogRecord } from "./answer-log.ts";
import { EntryFeed } from "./entry-feed.ts";
import { GenerationRun, type RunEnd } from "./generation-run.ts";
import type { LogRows } from "./log-rows.ts";
import type { StoredOrder } from "./order-rows.ts";
import { within } from "../../waiting/within.ts";

const underWayMilliseconds = 2_000;
const statelessPatienceMilliseconds = 1_000;
const turnPatienceMilliseconds = 10_000;

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
  readonly #meter: Meter;
  /**
   * Entries that are shown with later ones: those of several choices, whose order is known only once it is written down, and the last tokens of an
   * answer whose end comes at once.
   */
  #held: StreamEntry[] = [];
  /** Of records that came together, while they are taken. */
  #batch: StreamEntry[] | undefined;
  /** Whether nothing is waited for between the last choice's end and the answer's: no state is kept, and no session is told. */
  readonly #endsAtOnce: boolean;
  readonly #end = Promise.withResolvers<undefined>();
  /** Whether an object was lost with it: readers may have more entries than its log. */
  #revived = false;
  #ended = false;
  #settled = false;
  #grace: ReturnType<typeof setTimeout> | undefined;

  constructor(options: LifeOptions) {
    this.#options = options;
    const { stored, model, environment, rows } = options;
    const { jobs } = stored.order;
    this.#meter = new Meter("answer", stored.order.model.id);
    this.#log = new AnswerLog(rows, jobs.length, () => {
      for (const entry of this.#held.splice(0)) this.#feed.append(entry);
    });
    this.#entries = new AnswerEntries(jobs, model.tokenizer);
    this.#feed = new EntryFeed({
      older: (from, to) => this.#older(from, to),
      onReaders: (count) => {
        this.#onReaders(count);
      },
    });
    const sources = this.#sources();
    const states = jobs.map((job) => chooseStates(job, sources));
    this.#endsAtOnce = options.session === undefined && states.every(({ keeps }) => keeps === null);
    for (const record of this.#log.read()) {
      this.#revived ||= record.type === "revived";
      this.#show(this.#entries.push(record));
    }
    if (this.#entries.ended) this.#close();
    this.#run = new GenerationRun({
      askPool: askPool(environment, {
        ...{ tenant: stored.order.tenant, priority: "interactive" },
        ...{ session: stored.prepared?.session ?? null, place: stored.order.place ?? null, hedge: stored.order.hedge === true },
        stateAt: stored.prepared?.lastBackend ?? null,
      }),
      model: stored.order.model,
      jobs,
      states,
      abilities: stored.order.abilities,
      meter: this.#meter,
      entries: this.#entries,
      record: (record) => {
        this.#record(record);
      },
      together: (take) => {
        this.#together(take);
      },
      onRetry: (failure, sampled) => {
        logLine("info", "generation_retried", { stream: stored.order.stream, code: failure.code, message: failure.message, sampled });
      },
      onPlaced: (job, { backend, kind, reasons }) => {
        const sampled = this.#entries.choices[job]?.sampled.length ?? 0;
        logLine("info", "generation_placed", { stream: stored.order.stream, job, backend, kind, sampled, reasons: reasons.join(", ") });
      },
      onDefect: (cause) => {
        logLine("error", "generation_defect", { stream: stored.order.stream, cause: describeCause(cause) });
      },
      patience: stored.prepared === null ? statelessPatienceMilliseconds : turnPatienceMilliseconds,
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
        at: unixSeconds(),
      });
      throw cause;
    }
  }

  /** Lets go of what has begun and will not run. */
  async abandon(): Promise<void> {
    await this.#run.discard();
  }

  /** The same, for one that somebody else refuses. */
  async refuse(failure: ServiceFailure): Promise<void> {
    await this.#run.discard();
    await this.#settle({ failure, stopped: false, saved: null, at: unixSeconds() });
  }

  async run(): Promise<void> {
    await this.#run.pump();
  }

  /** After the object was lost: begins where the log ends. */
  async resume(): Promise<void> {
    this.#revived = true;
    this.#record({ type: "revived" });
    this.#log.flush();
    if (this.readers === 0) this.#onReaders(0);
    await this.#run.pump();
  }

  stop(): void {
    this.#run.stop();
  }

  /** Gives up what nobody waits for any more. */
  leave(): void {
    this.#run.cancel(cancelled("The client went away before its answer began."));
  }

  /** After its time: everything that was written of it. */
  forget(): void {
    this.#log.delete();
  }

  /** Once it is known whether a state that was found was also taken, because the answer's header says it; or after a while. */
  async openUnderWay(): Promise<OpenStream> {
    const { known, stream } = this.#feed.read(0);
    await within(this.#run.underWay, underWayMilliseconds, () => undefined);
    // What has come meanwhile goes with the call's result: a chunk of the stream costs each Worker on its way far more.
    return { ...this.#opened(stream), known: known() };
  }

  open(after: number): OpenStream {
    return this.#opened(this.#feed.read(after).stream);
  }

  #opened(entries: ReadableStream<Uint8Array>): OpenStream {
    const { order, prepared } = this.#options.stored;
    const cache: CacheReport = this.#run.cache;
    const placed = this.#placed;
    return {
      stream: order.stream,
      entries,
      model: order.model,
      recipe: order.recipe,
      ended: this.#ended,
      reach: this.#revived ? Math.max(this.#feed.last, mostEntries(order.jobs)) : this.#feed.last,
      cache,
      ...(placed === undefined ? {} : { placed }),
      ...(prepared === null || order.turn?.isPassing === true ? {} : { session: prepared.session, turn: prepared.turn }),
    };
  }

  get #placed(): Placed | undefined {
    const { placed } = this.#run;
    if (placed !== undefined) return placed;
    const report = this.#entries.choices.find(({ placement }) => placement !== undefined)?.placement;
    return report === undefined ? undefined : { backend: report.backend, kind: report.kind, reasons: [] };
  }

  #record(record: LogRecord): void {
    this.#log.append(record);
    const entries = this.#entries.push(record);
    if (this.#batch === undefined) this.#show(entries);
    else this.#batch.push(...entries);
    if (!this.#entries.ended) return;
    this.#log.flush();
    this.#close();
    this.#options.onEnded(Date.now() + streamSettings(this.#options.environment).keepMilliseconds);
  }

  /** Records that come together are shown together, so that the first of them does not go to the readers alone. */
  #together(take: () => void): void {
    const batch: StreamEntry[] = [];
    this.#batch = batch;
    try {
      take();
    } finally {
      this.#batch = undefined;
      this.#show(batch);
    }
  }

  #show(entries: readonly StreamEntry[]): void {
    const { choices, ended } = this.#entries;
    const endFollows = this.#endsAtOnce && choices.every((choice) => choice.ended);
    if (!ended && (choices.length > 1 || endFollows)) this.#held.push(...entries);
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
    const isOfSession = order.turn !== undefined && order.turn.isPassing !== true;
    if (count > 0 || this.ended || isOfSession) return;
    const grace = order.resumable ? streamSettings(this.#options.environment).graceMilliseconds : 0;
    const cancel = () => {
      if (this.#feed.readers === 0) this.#run.cancel(cancelled("The client closed the connection and did not open another."));
    };
    if (grace === 0) cancel();
    else this.#grace = setTimeout(cancel, grace);
  }

  #sources(): StateSources {
    const { stored, session, store } = this.#options;
    const { order, prepared } = stored;
    const turn =
      prepared === null || session === undefined
        ? undefined
        : {
            ...{ prepared, owner: ownerOf(prepared.session, prepared.turn) },
            tokens: (count: number) => session.readTokens(count),
            rebuild: () => session.rebuildBase(prepared.turn),
          };
    return { order, store, turn };
  }

  async #settle(end: RunEnd): Promise<void> {
    const { stored, session, store } = this.#options;
    const { order, prepared } = stored;
    const usages = order.jobs.map((_job, at) => this.#entries.usage(at));
    const usage = {
      promptTokens: usages.reduce((sum, { promptTokens }) => sum + promptTokens, 0),
      cachedTokens: usages.reduce((sum, { cachedTokens }) => sum + cachedTokens, 0),
      completionTokens: this.#entries.completionTokens,
    };
    const ending = end.failure?.code ?? (end.stopped ? "stopped" : "whole");
    logLine("info", "generation_ended", { stream: order.stream, ...usage, ending });
    this.#meter.report();
    if (session === undefined || prepared === null) return;
    const result = turnResult(stored, prepared, this.#entries.choices[0], end, usage, this.#placed?.backend ?? null);
    if (result === undefined) return;
    await endTurn(session, result, prepared, store);
    this.#settled = true;
  }
}

/** What a token can end and begin in an answer with calls: text, a call's name, its arguments. */
const entriesOfCalls = 3;
/** Beside those of tokens: what comes before them, what was held back, and the choice's end. */
const entriesBesideTokens = 4;

/** The most entries that these choices can have, with the terminal one. */
function mostEntries(jobs: readonly Job[]): number {
  return jobs.reduce(
    (sum, { request, calls }) => sum + request.maxTokens * (calls === undefined ? 1 : entriesOfCalls) + entriesBesideTokens,
    1,
  );
}
