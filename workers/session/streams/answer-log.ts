/**
 * What a generation has brought, durably: the backend's events in the order they came, each with the choice it belongs to. Everything that
 * readers see is made of them again. Written in batches, because a row a token would cost more than the token.
 */
import type { PromptUsage, AnswerEvent } from "../answer/choice-assembler.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";

export type LogRecord =
  /** Where the job's prompt starts: before its first event, and again when a state turns out to be unusable. */
  | { readonly type: "start"; readonly job: number; readonly usage: PromptUsage }
  | { readonly type: "event"; readonly job: number; readonly event: AnswerEvent }
  /** Somebody wished the answers to end here. */
  | { readonly type: "stopped" }
  | { readonly type: "done" }
  | { readonly type: "failed"; readonly failure: ServiceFailure };

/** Far below what a row may hold; long lines lie in several. */
const ROW_BYTES = 512 << 10;
/** Characters that may wait. */
const WAITING_CHARACTERS = 64 << 10;
const WAITING_MILLISECONDS = 100;

export class AnswerLog {
  readonly #sql: SqlStorage;
  readonly #stream: string;
  readonly #onFlush: () => void;
  #waiting = "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(sql: SqlStorage, stream: string, onFlush: () => void) {
    this.#sql = sql;
    this.#stream = stream;
    this.#onFlush = onFlush;
  }

  static makeTable(sql: SqlStorage): void {
    sql.exec("CREATE TABLE IF NOT EXISTS log (row INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, bytes BLOB NOT NULL)");
    sql.exec("CREATE INDEX IF NOT EXISTS log_of_stream ON log (stream, row)");
  }

  append(record: LogRecord): void {
    this.#waiting += `${JSON.stringify(record)}\n`;
    if (this.#waiting.length > WAITING_CHARACTERS) this.flush();
    else
      this.#timer ??= setTimeout(() => {
        this.flush();
      }, WAITING_MILLISECONDS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting === "") return;
    const bytes = new TextEncoder().encode(this.#waiting);
    this.#waiting = "";
    for (let at = 0; at < bytes.length; at += ROW_BYTES)
      this.#sql.exec("INSERT INTO log (stream, bytes) VALUES (?, ?)", this.#stream, bytes.slice(at, at + ROW_BYTES));
    this.#onFlush();
  }

  /** Forgets everything. */
  delete(): void {
    clearTimeout(this.#timer);
    this.#waiting = "";
    this.#sql.exec("DELETE FROM log WHERE stream = ?", this.#stream);
  }

  /** Everything recorded, in order; a last line that was cut off by the end of the world is left out. */
  *read(): Generator<LogRecord, void, undefined> {
    const decoder = new TextDecoder();
    let buffered = "";
    for (const { bytes } of this.#sql.exec<{ bytes: ArrayBuffer }>("SELECT bytes FROM log WHERE stream = ? ORDER BY row", this.#stream)) {
      buffered += decoder.decode(bytes, { stream: true });
      const lines = buffered.split("\n");
      buffered = lines.pop() ?? "";
      for (const line of lines) yield JSON.parse(line) as LogRecord;
    }
    const waiting = (buffered + this.#waiting).split("\n");
    for (const line of waiting.slice(0, -1)) yield JSON.parse(line) as LogRecord;
  }
}
