/** What a session's object knows of itself. */
import type { ModelVersion } from "../../contracts/model-version.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { Metadata } from "../../contracts/session.ts";
import type { ToldFunction } from "../../contracts/tools.ts";
import { hasTable } from "../storage/tables.ts";

export interface SessionRecord {
  readonly id: string;
  readonly tenant: string;
  /** A share is a fork that nobody lists and nobody talks to. */
  readonly kind: "session" | "context" | "share";
  readonly name: string;
  /** Whose tokens its log holds. */
  readonly model: ModelVersion;
  /** Unix seconds. */
  readonly created: number;
  readonly updated: number;
  readonly parent: { readonly session: string; readonly turn: number } | null;
  /** The turn that runs. */
  readonly running: { readonly turn: number; readonly stream: string } | null;
  /** Name of the backend that last read it, whose caches may hold it; left out where none has. */
  readonly lastBackend?: string;
  /** Of a context whose document is not read yet. */
  readonly upload: UploadRecord | null;
  readonly metadata?: Metadata;
  /** Made for responses alone: it goes with the last of them. */
  readonly isOfResponses?: boolean;
  /** A fork for one turn that is not kept: nobody lists it, and it goes with the turn. */
  readonly isPassing?: boolean;
  /** The system message before the first turn's own messages, where responses have one. */
  readonly instructions?: string | null;
  /** The functions that it is told of there. */
  readonly tools?: readonly ToldFunction[];
  /** Tokens of the first turn before its answer. */
  readonly firstPromptTokens?: number;
}

export interface UploadRecord {
  readonly stage: "uploading" | "reading" | "ready" | "failed";
  /** Whether all of the text has come. */
  readonly whole: boolean;
  readonly receivedBytes: number;
  /** Bytes of a character that is not whole yet, base64. */
  readonly halfCharacter: string;
  /** Text that is not tokenized yet. */
  readonly pending: string;
  readonly readTokens: number;
  /** Parts of the document that were read so far, under the name that stored records have. */
  readonly pieces: number;
  /** The state of what was read so far. */
  readonly snapshot: string | null;
  /** The beginning of the document, for its transcript, and its length in UTF-16 code units. */
  readonly preview: string;
  readonly length: number;
  readonly failure: ServiceFailure | null;
}

export class RecordRow {
  readonly #sql: SqlStorage;
  #record: SessionRecord | undefined;
  #isRead = false;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  makeTable(): void {
    this.#sql.exec("CREATE TABLE IF NOT EXISTS record (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL)");
  }

  /** Read when it is asked for: an object whose file is broken must still be able to delete it. */
  get(): SessionRecord | undefined {
    if (!this.#isRead && hasTable(this.#sql, "record")) {
      const [row] = this.#sql.exec<{ json: string }>("SELECT json FROM record").toArray();
      this.#record = row === undefined ? undefined : readRecord(row.json);
    }
    this.#isRead = true;
    return this.#record;
  }

  put(record: SessionRecord): SessionRecord {
    // What could not be written is looked for again.
    this.#isRead = false;
    this.#sql.exec("INSERT OR REPLACE INTO record (one, json) VALUES (1, ?)", JSON.stringify(record));
    this.#record = record;
    this.#isRead = true;
    return record;
  }

  /** Of what it is now, which may have changed since it was last looked at. */
  change(change: Partial<SessionRecord>): SessionRecord {
    const record = this.get();
    if (record === undefined) throw new Error("there is no session");
    return this.put({ ...record, ...change });
  }

  forget(): void {
    this.#record = undefined;
    this.#isRead = true;
  }
}

/** Older records have what functions take as an object. */
function readRecord(json: string): SessionRecord {
  const record = JSON.parse(json) as SessionRecord;
  const { tools } = record;
  if (tools === undefined) return record;
  const isText = (value: unknown) => typeof value === "string";
  return {
    ...record,
    tools: tools.map((tool) => (isText(tool.parameters) ? tool : { ...tool, parameters: JSON.stringify(tool.parameters) })),
  };
}

export const unixSeconds = (): number => Math.floor(Date.now() / 1000);

/** All that a fork takes with it; its states it shares. */
export interface SessionCopy {
  readonly record: SessionRecord;
  /** `linesOfTurns`. */
  readonly turns: Uint8Array;
  readonly tokens: Uint32Array;
  /** Number of the last turn; 0 where there is only a document, or nothing. */
  readonly last: number;
}
