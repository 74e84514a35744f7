/**
 * Orders as their object keeps them, so that generations go on after the object was gone. Each page that a commit touches is written, and the answer
 * waits for it: so a small order is one row, and of what runs there is no index but in memory.
 */
import { abilities, type Ability } from "../../contracts/abilities.ts";
import type { Job } from "../../contracts/choice.ts";
import type { GenerationOrder } from "../../contracts/session.ts";
import { joined } from "../../encoding/joined.ts";
import { ByteLines } from "../../encoding/lines.ts";
import { BlobRows } from "../storage/blob-rows.ts";
import { removeText } from "../storage/erase.ts";
import type { PreparedTurn } from "../generation/turn-base.ts";

export interface StoredOrder {
  readonly order: GenerationOrder;
  readonly prepared: PreparedTurn | null;
}

/** What is written of one. */
export interface EncodedOrder {
  readonly stream: string;
  /** By their names; those of a small one are one. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  readonly whole: Uint8Array | null;
  /** That are written. */
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

/** An order of more is kept in parts, as a row may not have any length. */
const rowBytes = 64 << 10;

export class OrderRows {
  readonly #sql: SqlStorage;
  readonly #blobs: BlobRows;
  /** As the rows say it; read once, when it is first asked for. */
  #known: { readonly running: Set<string>; readonly forgotten: Set<string> } | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#blobs = new BlobRows(sql, "order_parts");
  }

  makeTables(): void {
    this.#known = undefined;
    this.#blobs.makeTable();
    // `text`: all parts in one, or none where they are in rows of their own. `kept_until`: Unix milliseconds; null while it runs.
    this.#sql.exec("CREATE TABLE IF NOT EXISTS orders (stream TEXT PRIMARY KEY, text TEXT NOT NULL, kept_until INTEGER)");
    this.#sql.exec("DROP INDEX IF EXISTS orders_kept_until");
    this.#sql.exec("CREATE INDEX IF NOT EXISTS orders_ended ON orders (kept_until) WHERE kept_until IS NOT NULL");
  }

  put({ stream, blobs, whole }: EncodedOrder): void {
    const { running } = this.#of();
    // What a client said in its turn may be longer than a row.
    if (whole === null) for (const [name, part] of blobs) this.#blobs.put(`${stream} ${name}`, part);
    this.#sql.exec("INSERT INTO orders (stream, text, kept_until) VALUES (?, ?, NULL)", stream, whole ?? "");
    running.add(stream);
  }

  has(stream: string): boolean {
    return this.#sql.exec("SELECT 1 FROM orders WHERE stream = ?", stream).toArray().length > 0;
  }

  get(stream: string): StoredOrder | undefined {
    const [row] = this.#sql.exec<{ text: string | ArrayBuffer }>("SELECT text FROM orders WHERE stream = ?", stream).toArray();
    if (row === undefined) return undefined;
    const parts = typeof row.text === "string" ? undefined : partsOf(row.text);
    const part = (name: string) => (parts === undefined ? this.#blobs.get(`${stream} ${name}`) : parts.get(name));
    const tokens = (name: string) => tokensOf(part(name) ?? new Uint8Array());
    // Rows of long ago have the text beside the other parts.
    const text = typeof row.text === "string" && row.text !== "" ? row.text : new TextDecoder().decode(part("text"));
    const { order, prepared } = JSON.parse(text) as OrderText;
    const jobs = order.jobs.map((job): Job => {
      const prompt = tokens(`prompt ${String(job.promptIndex)}`);
      return { ...job, request: { ...job.request, prompt } };
    });
    return {
      order: { ...order, abilities: order.abilities ?? abilities, jobs },
      prepared: prepared === null ? null : { ...prepared, seen: tokens("seen"), base: { ...prepared.base, unread: tokens("unread") } },
    };
  }

  /** It has ended, and can be read again until then; Unix milliseconds. */
  keepUntil(stream: string, time: number): void {
    this.#sql.exec("UPDATE orders SET kept_until = ? WHERE stream = ? AND kept_until IS NOT 0", time, stream);
    this.#of().running.delete(stream);
  }

  /** Nobody may read it again; its rows go once nobody reads it any more. */
  forget(stream: string): void {
    this.keepUntil(stream, 0);
    if (this.has(stream)) this.#of().forgotten.add(stream);
  }

  isForgotten(stream: string): boolean {
    return this.#of().forgotten.has(stream);
  }

  /** Those that have not ended. */
  running(): readonly string[] {
    return [...this.#of().running];
  }

  expired(now: number): string[] {
    return names(this.#sql.exec<{ stream: string }>("SELECT stream FROM orders WHERE kept_until <= ?", now));
  }

  /** What its rows hold. */
  bytes(stream: string): number {
    const own = "SELECT length(CAST(text AS BLOB)) AS bytes FROM orders WHERE stream = ?";
    const [row] = this.#sql.exec<{ bytes: number }>(own, stream).toArray();
    return (row?.bytes ?? 0) + this.#blobs.bytes(`${stream} `);
  }

  count(): number {
    return this.#sql.exec<{ count: number }>("SELECT COUNT(*) AS count FROM orders").one().count;
  }

  delete(stream: string): void {
    removeText(this.#sql, "orders", "stream = ?", stream);
    this.#blobs.deleteAll(`${stream} `);
    this.#of().running.delete(stream);
    this.#of().forgotten.delete(stream);
  }

  #of() {
    const where = (state: string) => new Set(names(this.#sql.exec<{ stream: string }>(`SELECT stream FROM orders WHERE ${state}`)));
    return (this.#known ??= { running: where("kept_until IS NULL"), forgotten: where("kept_until = 0") });
  }
}

/** A line of JSON with their names and lengths, and then all of them. */
function joinedParts(parts: EncodedOrder["blobs"]): Uint8Array<ArrayBuffer> {
  const lengths = Array.from(parts, ([name, { length }]) => [name, length]);
  return joined([new TextEncoder().encode(`${JSON.stringify(lengths)}\n`), ...parts.values()]);
}

function partsOf(bytes: ArrayBuffer): ReadonlyMap<string, Uint8Array> {
  const lines = new ByteLines();
  lines.push(new Uint8Array(bytes));
  const lengths = JSON.parse(lines.line() ?? "[]") as readonly (readonly [string, number])[];
  return new Map(lengths.map(([name, length]) => [name, lines.bytes(length) ?? new Uint8Array()]));
}

const tokensOf = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new Uint32Array(buffer, byteOffset, byteLength / Uint32Array.BYTES_PER_ELEMENT);

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
  const bytes = [...blobs.values()].reduce((sum, { length }) => sum + length, 0);
  const whole = bytes > rowBytes ? null : joinedParts(blobs);
  return { stream: order.stream, blobs, whole, bytes: whole?.length ?? bytes };
}

const tokenBytes = ({ buffer, byteOffset, byteLength }: Uint32Array) => new Uint8Array(buffer, byteOffset, byteLength);

function withoutTokens({ base, seen: _seen, ...turn }: PreparedTurn): OrderText["prepared"] {
  return { ...turn, base: { snapshot: base.snapshot, tokens: base.tokens } };
}

function names(rows: Iterable<{ readonly stream: string }>): string[] {
  return Array.from(rows, ({ stream }) => stream);
}
