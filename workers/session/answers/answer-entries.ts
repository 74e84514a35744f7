/** Makes numbered entries of a log's records: the same ones of the same records, whoever asks and however often. */
import type { ChoiceEvent, Job } from "../../contracts/choice.ts";
import type { StreamDone, StreamEntry } from "../../contracts/session.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { PromptUsage } from "../generation/answer-event.ts";
import { ChoiceAssembler } from "./text/choice-assembler.ts";
import type { LogRecord } from "./answer-log.ts";

const doneOf = (at: number | undefined, stopped: boolean): StreamDone => ({
  type: "done",
  ...(stopped ? { stopped } : {}),
  ...(at === undefined ? {} : { at }),
});

const nothingRead: PromptUsage = { promptTokens: 0, cachedTokens: 0 };

export class AnswerEntries {
  readonly choices: readonly ChoiceAssembler[];
  readonly #usages: PromptUsage[];
  #last = 0;
  #opened = false;
  #ended = false;
  /** Whether a client's wish ended a choice. */
  #stopped = false;

  constructor(jobs: readonly Job[], tokenizer: Tokenizer) {
    this.choices = jobs.map((job) => new ChoiceAssembler(job, tokenizer));
    this.#usages = jobs.map(() => nothingRead);
  }

  /** Whether the terminal entry has been made. */
  get ended(): boolean {
    return this.#ended;
  }

  get completionTokens(): number {
    return this.choices.reduce((sum, { sampled }) => sum + sampled.length, 0);
  }

  usage(job: number): PromptUsage {
    return this.#usages[job] ?? nothingRead;
  }

  push(record: LogRecord): StreamEntry[] {
    if (this.#ended) return [];
    const opening = this.#open();
    return [...opening, ...this.#entries(record)];
  }

  #entries(record: LogRecord): StreamEntry[] {
    switch (record.type) {
      case "revived":
        return [];
      case "start":
        this.#usages[record.job] = record.usage;
        return [];
      case "placed":
        return (this.choices[record.job]?.place(record.placed) ?? []).map((event) => ({ number: null, event }));
      case "event": {
        const events = this.choices[record.job]?.push(record.event, this.usage(record.job)) ?? [];
        return events.map((event) => (record.event.type === "read" ? { number: null, event } : this.#numbered(event)));
      }
      case "stopped":
        this.#stopped ||= this.choices.some(({ ended }) => !ended);
        return this.choices.flatMap((choice, job) => choice.stop(this.usage(job)).map((event) => this.#numbered(event)));
      case "done":
        this.#ended = true;
        return [this.#numbered(doneOf(record.at, this.#stopped))];
      case "failed":
        this.#ended = true;
        return [this.#numbered({ type: "failed", failure: record.failure })];
    }
  }

  #open(): StreamEntry[] {
    if (this.#opened) return [];
    this.#opened = true;
    return this.choices.flatMap((choice) => choice.open()).map((event: ChoiceEvent) => this.#numbered(event));
  }

  #numbered(event: StreamEntry["event"]): StreamEntry {
    return { number: ++this.#last, event };
  }
}
