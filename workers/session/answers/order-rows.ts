/** Orders as their object keeps them, so that generations go on after the object was gone. */
import { abilities, type Ability } from "../../contracts/abilities.ts";
import type { Job } from "../../contracts/choice.ts";
import type { GenerationOrder } from "../../contracts/session.ts";
import { BlobRows } from "../storage/blob-rows.ts";
import { removeText } from "../storage/erase.ts";
import type { PreparedTurn } from "../generation/turn-base.ts";

export interface StoredOrder {
  readonly order: GenerationOrder;
  readonly prepared: PreparedTurn | null;
}

/** What is written of one, by the names of its blobs. */
export interface EncodedOrder {
  readonly stream: string;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  readonly bytes: number;
}

interface OrderText {
  readonly order: Omit<GenerationOrder, "jobs" | "abilities"> & {
    readonly jobs: readonly JobText[];
    /** Left out in rows of before: every backend could all then. */
    readonly abilities?: readonly Ability[];
  };
  readonly prepared: (Omit<PreparedTurn, "base" | "seen"> & { readonly base: Omit<PreparedTurn["base"], "unread"> }) | null;
}

/** Without its prompt, which choices share. */
type JobText = Omit<Job, "request"> & { readonly request: Omit<Job["request"], "prompt"> };

export class OrderRows {
  readonly #sql: SqlStorage;
  readonly #blobs: BlobRows;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#blobs = new BlobRows(sql, "order_parts");
  }

  makeTables(): void {
    this.#blobs.makeTable();
    // Unix milliseconds; null while it runs.
    this.#sql.exec("CREATE TABLE IF NOT EXISTS orders (stream TEXT PRIMARY KEY, text TEXT NOT NULL, kept_until INTEGER)");
    this.#sql.exec("CREATE INDEX IF NOT EXISTS orders_kept_until ON orders (kept_until)");
  }

  put({ stream, blobs }: EncodedOrder): void {
    // What a client said in its turn may be longer than a row.
    for (const [name, bytes] of blobs) this.#blobs.put(`${stream} ${name}`, bytes);
    this.#sql.exec("INSERT INTO orders (stream, text, kept_until) VALUES (?, '', NULL)", stream);
  }

  has(stream: string): boolean {
    return this.#sql.exec("SELECT 1 FROM orders WHERE stream = ?", stream).toArray().length > 0;
  }

  get(stream: string): StoredOrder | undefined {
    const [row] = this.#sql.exec<{ text: string }>("SELECT text FROM orders WHERE stream = ?", stream).toArray();
    if (row === undefined) return undefined;
    const text = row.text === "" ? new TextDecoder().decode(this.#blobs.get(`${stream} text`)) : row.text;
    const { order, prepared } = JSON.parse(text) as OrderText;
    const jobs = order.jobs.map((job): Job => {
      const prompt = this.#tokens(stream, `prompt ${String(job.promptIndex)}`);
      return { ...job, request: { ...job.request, prompt } };
    });
    return {
      order: { ...order, abilities: order.abilities ?? abilities, jobs },
      prepared:
        prepared === null
          ? null
          : { ...prepared, seen: this.#tokens(stream, "seen"), base: { ...prepared.base, unread: this.#tokens(stream, "unread") } },
    };
  }

  /** It has ended, and can be read again until then; Unix milliseconds. */
  keepUntil(stream: string, time: number): void {
    this.#sql.exec("UPDATE orders SET kept_until = ? WHERE stream = ? AND kept_until IS NOT 0", time, stream);
  }

  /** Nobody may read it again; its rows go once nobody reads it any more. */
  forget(stream: string): void {
    this.keepUntil(stream, 0);
  }

  isForgotten(stream: string): boolean {
    return this.#sql.exec("SELECT 1 FROM orders WHERE stream = ? AND kept_until = 0", stream).toArray().length > 0;
  }

  /** Those that have not ended. */
  running(): string[] {
    return names(this.#sql.exec<{ stream: string }>("SELECT stream FROM orders WHERE kept_until IS NULL"));
  }

  expired(now: number): string[] {
    return names(this.#sql.exec<{ stream: string }>("SELECT stream FROM orders WHERE kept_until <= ?", now));
  }

  /** What its rows hold. */
  bytes(stream: string): number {
    return this.#blobs.bytes(`${stream} `);
  }

  count(): number {
    return this.#sql.exec<{ count: number }>("SELECT COUNT(*) AS count FROM orders").one().count;
  }

  delete(stream: string): void {
    removeText(this.#sql, "orders", "stream = ?", stream);
    this.#blobs.deleteAll(`${stream} `);
  }

  #tokens(stream: string, name: string): Uint32Array {
    const bytes = this.#blobs.get(`${stream} ${name}`) ?? new Uint8Array();
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Uint32Array.BYTES_PER_ELEMENT);
  }
}

/** As its rows hold it. */
export function encodeOrder({ order, prepared }: StoredOrder): EncodedOrder {
  const jobs = order.jobs.map((job): JobText => {
    const { prompt: _prompt, ...request } = job.request;
    return { ...job, request };
  });
  const text: OrderText = { order: { ...order, jobs }, prepared: prepared === null ? null : withoutTokens(prepared) };
  const blobs = new Map([["text", new TextEncoder().encode(JSON.stringify(text))]]);
  for (const { promptIndex, request } of order.jobs) blobs.set(`prompt ${String(promptIndex)}`, tokenBytes(request.prompt));
  if (prepared !== null) {
    blobs.set("unread", tokenBytes(prepared.base.unread));
    blobs.set("seen", tokenBytes(prepared.seen));
  }
  return { stream: order.stream, blobs, bytes: [...blobs.values()].reduce((sum, { length }) => sum + length, 0) };
}

const tokenBytes = ({ buffer, byteOffset, byteLength }: Uint32Array) => new Uint8Array(buffer, byteOffset, byteLength);

function withoutTokens({ base, seen: _seen, ...turn }: PreparedTurn): OrderText["prepared"] {
  return { ...turn, base: { snapshot: base.snapshot, tokens: base.tokens } };
}

function names(rows: Iterable<{ readonly stream: string }>): string[] {
  return Array.from(rows, ({ stream }) => stream);
}
