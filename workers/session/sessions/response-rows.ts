/** The turns of a session that can be asked for as responses, by the names of their streams, with what the transcript does not say of them. */
import type { TokenUsage } from "../../contracts/engine.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import { BlobRows } from "../storage/blob-rows.ts";
import { hasTable } from "../storage/tables.ts";

export interface ResponseText {
  /** What the gateway makes the same response of again. */
  readonly recipe: string;
  readonly usage: TokenUsage;
  readonly failure?: ServiceFailure;
}

export class ResponseRows {
  readonly #sql: SqlStorage;
  /** A recipe holds what its client sent as instructions and tools, which may be longer than a row. */
  readonly #texts: BlobRows;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#texts = new BlobRows(sql, "turn_responses");
  }

  put(stream: string, turn: number, text: ResponseText): void {
    this.#texts.makeTable();
    this.#sql.exec("CREATE TABLE IF NOT EXISTS responses (stream TEXT PRIMARY KEY, turn INTEGER NOT NULL)");
    this.#sql.exec("INSERT INTO responses (stream, turn) VALUES (?, ?)", stream, turn);
    this.#texts.put(stream, new TextEncoder().encode(JSON.stringify(text)));
  }

  /** The number of its turn; undefined where there is no such response. */
  turnOf(stream: string): number | undefined {
    if (!this.#isThere) return undefined;
    return this.#sql.exec<{ turn: number }>("SELECT turn FROM responses WHERE stream = ?", stream).toArray()[0]?.turn;
  }

  text(stream: string): ResponseText | undefined {
    const bytes = this.#isThere ? this.#texts.get(stream) : undefined;
    return bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as ResponseText);
  }

  /** The last turn that is a response; undefined where none is. */
  get last(): number | undefined {
    if (!this.#isThere) return undefined;
    return this.#sql.exec<{ last: number | null }>("SELECT MAX(turn) AS last FROM responses").one().last ?? undefined;
  }

  delete(stream: string): void {
    if (!this.#isThere) return;
    this.#texts.delete(stream);
    this.#sql.exec("DELETE FROM responses WHERE stream = ?", stream);
  }

  /** Of turns after this one. */
  deleteAfter(turn: number): void {
    if (!this.#isThere) return;
    for (const { stream } of this.#sql.exec<{ stream: string }>("SELECT stream FROM responses WHERE turn > ?", turn).toArray())
      this.delete(stream);
  }

  get #isThere(): boolean {
    return hasTable(this.#sql, "responses");
  }
}
