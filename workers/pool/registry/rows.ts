/** What the registry keeps: replicas, with those that have left for as long as an old message of theirs could come; and nonces. */
import type { Replica } from "../replica.ts";
import { windowSeconds } from "./node-credential.ts";

export type Registered = Omit<Replica, "heardAt">;

export interface ReplicaRow {
  readonly name: string;
  readonly node: string;
  /** Of its last message that was taken. */
  readonly started: number;
  readonly sequence: number;
  /** Unix milliseconds of this object's clock. */
  readonly heardAt: number;
  /** Null once it is gone. */
  readonly replica: Registered | null;
}

interface StoredRow extends Record<string, SqlStorageValue> {
  readonly name: string;
  readonly node: string;
  readonly started: number;
  readonly sequence: number;
  readonly heard_at: number;
  readonly replica: string | null;
}

const rememberedMilliseconds = 2 * windowSeconds * 1_000;
/** How often it is looked whether anything is to be forgotten. */
const forgetMilliseconds = 1_000;

/** Rows of replicas are in memory too, so that a snapshot reads no disk. */
export class RegistryRows {
  readonly #sql: SqlStorage;
  readonly #rows = new Map<string, ReplicaRow>();
  /** Of those that are there, by name: each as it is stored, so that a snapshot of a thousand makes no text of them anew. */
  readonly #texts = new Map<string, string>();
  /** Nonces by node. */
  #messages = new Map<string, number>();
  #forgotAt = 0;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS replicas (name TEXT PRIMARY KEY, node TEXT NOT NULL, started INTEGER NOT NULL, sequence INTEGER NOT NULL, heard_at INTEGER NOT NULL, replica TEXT)",
    );
    sql.exec(
      "CREATE TABLE IF NOT EXISTS nonces (node TEXT NOT NULL, nonce TEXT NOT NULL, sent INTEGER NOT NULL, PRIMARY KEY (node, nonce)) WITHOUT ROWID",
    );
    sql.exec("CREATE INDEX IF NOT EXISTS nonces_by_time ON nonces (sent)");
    for (const { heard_at: heardAt, replica, name, node, started, sequence } of sql.exec<StoredRow>("SELECT * FROM replicas")) {
      if (replica !== null) this.#texts.set(name, replica);
      this.#rows.set(name, {
        name,
        node,
        started,
        sequence,
        heardAt,
        replica: replica === null ? null : (JSON.parse(replica) as Registered),
      });
    }
    this.#countMessages();
  }

  get(name: string): ReplicaRow | undefined {
    return this.#rows.get(name);
  }

  all(): readonly ReplicaRow[] {
    return Array.from(this.#rows.values());
  }

  get isEmpty(): boolean {
    return this.#rows.size === 0 && this.#messages.size === 0;
  }

  put(row: ReplicaRow): void {
    const replica = row.replica === null ? null : JSON.stringify(row.replica);
    this.#sql.exec(
      "INSERT OR REPLACE INTO replicas (name, node, started, sequence, heard_at, replica) VALUES (?, ?, ?, ?, ?, ?)",
      ...[row.name, row.node, row.started, row.sequence, row.heardAt, replica],
    );
    this.#rows.set(row.name, row);
    if (replica === null) this.#texts.delete(row.name);
    else this.#texts.set(row.name, replica);
  }

  /** The JSON of all replicas that are there, each with its `heardAt`. */
  get json(): string {
    const replicas = Array.from(
      this.#texts,
      ([name, text]) => `${text.slice(0, -1)},"heardAt":${String(this.#rows.get(name)?.heardAt ?? 0)}}`,
    );
    return `[${replicas.join(",")}]`;
  }

  /** Whether the node has not used it yet; it is remembered. `sent`: the message's own time, Unix seconds. */
  useNonce(node: string, nonce: string, sent: number): boolean {
    const { rowsWritten } = this.#sql.exec("INSERT OR IGNORE INTO nonces (node, nonce, sent) VALUES (?, ?, ?)", node, nonce, sent);
    if (rowsWritten > 0) this.#messages.set(node, this.messagesOf(node) + 1);
    return rowsWritten > 0;
  }

  /** How many messages of a node are remembered. */
  messagesOf(node: string): number {
    return this.#messages.get(node) ?? 0;
  }

  /** Removes nonces of messages whose time is out of the window, whichever way this clock went, and what has been gone for long enough. */
  forget(now: number): void {
    if (Math.abs(now - this.#forgotAt) < forgetMilliseconds) return;
    this.#forgotAt = now;
    const seconds = now / 1_000;
    this.#sql.exec("DELETE FROM nonces WHERE sent < ? OR sent > ?", seconds - windowSeconds, seconds + windowSeconds);
    this.#countMessages();
    for (const { name, replica, heardAt } of this.all()) {
      if (replica !== null || Math.abs(now - heardAt) < rememberedMilliseconds) continue;
      this.#sql.exec("DELETE FROM replicas WHERE name = ?", name);
      this.#rows.delete(name);
    }
  }

  #countMessages(): void {
    const counts = this.#sql.exec<{ node: string; count: number }>("SELECT node, COUNT(*) AS count FROM nonces GROUP BY node");
    this.#messages = new Map(Array.from(counts, ({ node, count }) => [node, count]));
  }
}
