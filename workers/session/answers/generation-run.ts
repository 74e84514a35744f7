/** A generation while it runs: its choices' events become records of the log and entries for its readers, until exactly one end. */
import type { Ability } from "../../contracts/abilities.ts";
import type { Job } from "../../contracts/choice.ts";
import type { ModelVersion } from "../../contracts/model-version.ts";
import type { CacheReport } from "../../contracts/cache-report.ts";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";
import type { Placed } from "../../contracts/pool.ts";
import { merge } from "./text/merge.ts";
import { internalError } from "../failures.ts";
import type { StoredSnapshot } from "../snapshots/contract.ts";
import type { AnswerEntries } from "./answer-entries.ts";
import type { LogRecord } from "./answer-log.ts";
import { Attempts, type AttemptEvent } from "../generation/attempts.ts";
import type { AskPool } from "../generation/pool.ts";
import type { Meter } from "../generation/meter.ts";
import type { States } from "../generation/start.ts";

export interface RunOptions {
  readonly askPool: AskPool;
  readonly model: ModelVersion;
  readonly jobs: readonly Job[];
  readonly states: readonly States[];
  readonly abilities: readonly Ability[];
  readonly meter: Meter;
  readonly entries: AnswerEntries;
  readonly record: (record: LogRecord) => void;
  /** What the function records came together. */
  readonly together: (take: () => void) => void;
  readonly onRetry: (failure: ServiceFailure, sampled: number) => void;
  readonly onPlaced: (job: number, placed: Placed) => void;
  readonly onDefect: (cause: unknown) => void;
  /** How long the end waits for the states of answers that are whole, milliseconds. */
  readonly patience: number;
  /** Before the terminal record, once nothing more comes; a turn is handed to its session here. */
  readonly settle: (end: RunEnd) => Promise<void>;
}

export interface RunEnd {
  /** Null: every choice ended by itself, or was stopped. */
  readonly failure: ServiceFailure | null;
  readonly stopped: boolean;
  /** Choice 0's state after its answer. */
  readonly saved: StoredSnapshot | null;
  /** Unix seconds; the terminal record says the same. */
  readonly at: number;
}

interface Tagged {
  readonly job: number;
  readonly events: Iterable<AttemptEvent>;
}

export class GenerationRun {
  readonly #options: RunOptions;
  readonly #abort = new AbortController();
  readonly #attempts: readonly Attempts[];
  readonly #underWay: { readonly promise: Promise<void>; readonly resolve: () => void } = Promise.withResolvers();
  #stopped = false;
  #terminal = false;
  #at: number | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
    const { askPool, model, jobs, states, abilities, meter, entries, onRetry } = options;
    this.#attempts = jobs.map(
      (job, at) =>
        new Attempts({
          askPool,
          model,
          job,
          states: states[at] as States,
          abilities,
          meter,
          signal: this.#abort.signal,
          sampled: entries.choices[at]?.sampled ?? [],
          onRetry,
        }),
    );
  }

  /** Opens every choice that has not ended. @throws ServiceError when one is refused; the others are let go then. */
  async begin(): Promise<void> {
    const opened = await Promise.allSettled(this.#open().map(async (job) => await this.#attempts[job]?.begin()));
    const refused = opened.find((outcome) => outcome.status === "rejected");
    if (refused === undefined) return;
    await this.discard();
    throw refused.reason;
  }

  /** Lets go of choices that nobody will read. */
  async discard(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#attempts.map((attempts) => attempts.discard()));
  }

  /** Of the choices together: one that was remembered is worth telling. */
  get cache(): CacheReport {
    const reports = this.#attempts.flatMap(({ report }) => (report === undefined ? [] : [report]));
    const best = reports.find(({ outcome }) => outcome === "hit") ?? reports.find(({ outcome }) => outcome === "rejected") ?? reports[0];
    return best ?? { outcome: "miss", tokens: 0, reason: "nothing to read" };
  }

  /** Where the first choice that has begun runs. */
  get placed(): Placed | undefined {
    return this.#attempts.find(({ placed }) => placed !== undefined)?.placed;
  }

  /** Resolves with the first event of any choice, or when they have ended. */
  get underWay(): Promise<void> {
    return this.#underWay.promise;
  }

  /** Runs to the end; never rejects. */
  async pump(): Promise<void> {
    const { settle } = this.#options;
    let patience: ReturnType<typeof setTimeout> | undefined;
    let failure: ServiceFailure | null = null;
    try {
      for await (const { job, events } of merge(this.#open().map((job) => this.#choice(job)))) {
        this.#options.together(() => {
          for (const event of events) this.#take(job, event);
        });
        if (this.#open().length > 0 || patience !== undefined) continue;
        patience = setTimeout(() => {
          this.#end(null);
        }, this.#options.patience);
      }
    } catch (cause) {
      failure = this.#failureOf(cause);
    }
    clearTimeout(patience);
    this.#underWay.resolve();
    const open = this.#open().length > 0;
    if (open && failure === null)
      failure = this.#abort.signal.aborted ? this.#failureOf(this.#abort.signal.reason) : internalError("The answer has no end.");
    if (!open) failure = null;
    try {
      const saved = failure === null && !this.#stopped ? ((await this.#attempts[0]?.saved()) ?? null) : null;
      await settle({ failure, stopped: this.#stopped, saved, at: this.#endedAt });
    } catch (cause) {
      this.#options.onDefect(cause);
    }
    this.#end(failure);
  }

  /** Ends the answers as if they had ended here. */
  stop(): void {
    if (this.#terminal) return;
    this.#stopped = this.#open().length > 0;
    this.#options.record({ type: "stopped" });
    this.#abort.abort();
  }

  /** Ends the answers without an end of theirs. */
  cancel(failure: ServiceFailure): void {
    this.#abort.abort(new ServiceError(failure));
  }

  #take(job: number, event: AttemptEvent): void {
    const { record, onPlaced } = this.#options;
    if (event.type === "start") record({ type: "start", job, usage: event.usage });
    else if (event.type === "placed") {
      const { backend, kind } = event.placed;
      onPlaced(job, event.placed);
      record({ type: "placed", job, placed: { backend, kind } });
    } else {
      record({ type: "event", job, event });
      this.#underWay.resolve();
    }
  }

  #open(): number[] {
    return this.#options.jobs.flatMap((_job, at) => (this.#options.entries.choices[at]?.ended === true ? [] : [at]));
  }

  async *#choice(job: number): AsyncGenerator<Tagged, void, undefined> {
    const ended = () => this.#options.entries.choices[job]?.ended === true;
    const seen = { end: false };
    const upToEnd = function* (events: Iterable<AttemptEvent>): Generator<AttemptEvent, void, undefined> {
      for (const event of events) {
        yield event;
        // A stop string has ended it, so the backend is let go; after a backend's own end, its state may follow.
        seen.end = ended() && event.type !== "finish";
        if (seen.end) return;
      }
    };
    for await (const events of this.#attempts[job]?.events() ?? []) {
      yield { job, events: upToEnd(events) };
      if (seen.end) return;
    }
  }

  #end(failure: ServiceFailure | null): void {
    if (this.#terminal) return;
    this.#terminal = true;
    this.#options.record(failure === null ? { type: "done", at: this.#endedAt } : { type: "failed", failure });
  }

  get #endedAt(): number {
    return (this.#at ??= Math.floor(Date.now() / 1000));
  }

  #failureOf(cause: unknown): ServiceFailure {
    const { reason } = this.#abort.signal as { readonly reason: unknown };
    if (reason instanceof ServiceError) return reason.failure;
    if (cause instanceof ServiceError) return cause.failure;
    this.#options.onDefect(cause);
    return internalError("The server had an error while processing the request.");
  }
}
