/** A conversation's turns: what was said, where its tokens end, and which state holds it. */
import type { TranscriptMessage } from "../../contracts/transcript.ts";
import type { Turn } from "../../contracts/session.ts";
import { BlobRows } from "../storage/blob-rows.ts";
import { removeText } from "../storage/erase.ts";

/** UTF-16 units; in UTF-8 each is three bytes at the most, and the platform's rows hold 2 MB. */
const longCharacters = 400_000;

export interface StoredTurn extends Turn {
  readonly stream: string;
  /** The state that has read as many of the conversation's tokens; null where none is kept. */
  readonly snapshot: string | null;
  readonly snapshotTokens: number;
}

interface Row extends Record<string, SqlStorageValue> {
  readonly number: number;
  readonly messages: string;
  readonly tokens: number;
  readonly finish: string;
  readonly created: number;
  readonly stream: string;
  readonly snapshot: string | null;
  readonly snapshot_tokens: number;
}

const columns = "number, messages, tokens, finish, created, stream, snapshot, snapshot_tokens";

export class TurnRows {
  readonly #sql: SqlStorage;
  /** Messages that one row may not hold, by their turn's number. */
  readonly #long: BlobRows;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#long = new BlobRows(sql, "turn_messages");
  }

  makeTable(): void {
    this.#long.makeTable();
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS turns (number INTEGER PRIMARY KEY, messages TEXT NOT NULL, tokens INTEGER NOT NULL, finish TEXT NOT NULL, " +
        "created INTEGER NOT NULL, stream TEXT NOT NULL, snapshot TEXT, snapshot_tokens INTEGER NOT NULL)",
    );
  }

  /** The last turn's number; -1 before anything, 0 where there is only a document. */
  get last(): number {
    return this.#sql.exec<{ last: number }>("SELECT COALESCE(MAX(number), -1) AS last FROM turns").one().last;
  }

  get(number: number): StoredTurn | undefined {
    return this.#select("WHERE number = ?", number)[0];
  }

  /** Those after a number, in order, each read when it is asked for: no cursor stays open where nobody asks for more. */
  *after(number: number, last = Number.MAX_SAFE_INTEGER): Generator<StoredTurn, void, undefined> {
    for (const each of this.numbersAfter(number, last)) {
      const turn = this.get(each);
      if (turn !== undefined) yield turn;
    }
  }

  numbersAfter(number: number, last = Number.MAX_SAFE_INTEGER): number[] {
    const rows = this.#sql.exec<{ number: number }>(
      "SELECT number FROM turns WHERE number > ? AND number <= ? ORDER BY number",
      number,
      last,
    );
    return Array.from(rows, (row) => row.number);
  }

  /** The newest that has a state. */
  withSnapshot(): StoredTurn | undefined {
    return this.#select("WHERE snapshot IS NOT NULL ORDER BY number DESC LIMIT 1")[0];
  }

  /** Turns that have a state, in order. */
  states(): { readonly number: number; readonly snapshot: string }[] {
    return this.#sql
      .exec<{ number: number; snapshot: string }>("SELECT number, snapshot FROM turns WHERE snapshot IS NOT NULL ORDER BY number")
      .toArray();
  }

  put(turn: StoredTurn): void {
    const messages = JSON.stringify(turn.messages);
    const isLong = messages.length > longCharacters;
    if (isLong) this.#long.put(String(turn.number), new TextEncoder().encode(messages));
    this.#sql.exec(
      `INSERT OR REPLACE INTO turns (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[turn.number, isLong ? "" : messages, turn.tokens, turn.finish, turn.created, turn.stream, turn.snapshot, turn.snapshotTokens],
    );
  }

  /** It has another state from now on. */
  setState(number: number, snapshot: string | null, tokens: number): void {
    this.#sql.exec("UPDATE turns SET snapshot = ?, snapshot_tokens = ? WHERE number = ?", snapshot, tokens, number);
  }

  /** The state is gone, or let go. */
  forget(snapshot: string): void {
    this.#sql.exec("UPDATE turns SET snapshot = NULL, snapshot_tokens = 0 WHERE snapshot = ?", snapshot);
  }

  /** All but a document have so many tokens more before their ends, and no state of theirs is of use any more. */
  move(tokens: number): void {
    this.#sql.exec("UPDATE turns SET tokens = tokens + ?, snapshot = NULL, snapshot_tokens = 0 WHERE number > 0", tokens);
  }

  /** Turns after this one. */
  deleteAfter(number: number): void {
    for (const gone of this.numbersAfter(number)) this.#long.delete(String(gone));
    removeText(this.#sql, "turns", "number > ?", number);
  }

  #longMessages(number: number): string {
    return new TextDecoder().decode(this.#long.get(String(number)));
  }

  #select(where: string, ...values: readonly number[]): StoredTurn[] {
    return Array.from(this.#sql.exec<Row>(`SELECT ${columns} FROM turns ${where}`, ...values), (row) => ({
      number: row.number,
      messages: JSON.parse(row.messages === "" ? this.#longMessages(row.number) : row.messages) as TranscriptMessage[],
      tokens: row.tokens,
      finish: row.finish as Turn["finish"],
      created: row.created,
      stream: row.stream,
      snapshot: row.snapshot,
      snapshotTokens: row.snapshot_tokens,
    }));
  }
}
