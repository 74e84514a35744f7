/**
 * What a generation has brought, durably: the backend's events in the order they came, each with the choice it belongs to. Everything that
 * readers see is made of them again. Written in batches, because a row a token would cost more than the token.
 */
import type { AnswerEvent, PromptUsage } from "../generation/answer-event.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { Placed } from "../../contracts/pool.ts";
import { ByteLines } from "../../encoding/lines.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import type { LogRows } from "./log-rows.ts";

export type LogRecord =
  /** Where the job's prompt starts: before its first event, and again when a state is found unusable. */
  | { readonly type: "start"; readonly job: number; readonly usage: PromptUsage }
  /** Where the job's next events come from. */
  | { readonly type: "placed"; readonly job: number; readonly placed: Pick<Placed, "backend" | "kind"> }
  | { readonly type: "event"; readonly job: number; readonly event: AnswerEvent }
  /** The object was lost while it ran: what it had sent and not yet written is made again after this. */
  | { readonly type: "revived" }
  /** A client asked for the answers to end here. */
  | { readonly type: "stopped" }
  /** Unix seconds. */
  | { readonly type: "done"; readonly at?: number }
  | { readonly type: "failed"; readonly failure: ServiceFailure };

/** Characters that may wait. */
const waitingCharacters = 64 << 10;
/**
 * How long a record may wait. What an object that is lost had not written is made again, the same, so that writing seldom costs nothing but that;
 * each writing holds up all that the object does until the disk has it. Readers of several choices wait for it, and of one they do not.
 */
const waitingMilliseconds = { severalChoices: 100, oneChoice: 500 } as const;

export class AnswerLog {
  readonly #rows: LogRows;
  readonly #milliseconds: number;
  readonly #onFlush: () => void;
  #waiting = "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(rows: LogRows, choices: number, onFlush: () => void) {
    this.#rows = rows;
    this.#milliseconds = choices > 1 ? waitingMilliseconds.severalChoices : waitingMilliseconds.oneChoice;
    this.#onFlush = onFlush;
  }

  append(record: LogRecord): void {
    this.#waiting += `${JSON.stringify(record)}\n`;
    if (this.#waiting.length > waitingCharacters) this.flush();
    else
      this.#timer ??= setTimeout(() => {
        this.flush();
      }, this.#milliseconds);
  }

  /** What there is no room for stays in memory, and is tried again with what comes next: an answer is not lost to a full disk. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting === "") return;
    try {
      this.#rows.append(new TextEncoder().encode(this.#waiting));
      this.#waiting = "";
    } catch (cause) {
      logLine("error", "answer_not_written", { cause: describeCause(cause) });
    }
    this.#onFlush();
  }

  /** Forgets everything. */
  delete(): void {
    clearTimeout(this.#timer);
    this.#waiting = "";
    this.#rows.delete();
  }

  /** Everything recorded, in order; a last line that was only partly written when the object ended is left out. */
  *read(): Generator<LogRecord, void, undefined> {
    const lines = new ByteLines();
    for (const bytes of this.#rows.read()) {
      lines.push(new Uint8Array(bytes));
      for (const line of lines.lines()) yield JSON.parse(line) as LogRecord;
    }
    lines.push(new TextEncoder().encode(this.#waiting));
    for (const line of lines.lines()) yield JSON.parse(line) as LogRecord;
  }
}
