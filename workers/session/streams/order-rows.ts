/** An order as its object keeps it, so that a generation goes on after the object was gone. */
import type { Job } from "../../contracts/choice.ts";
import type { GenerationOrder } from "../../contracts/session.ts";
import { BlobRows } from "../storage/blob-rows.ts";
import type { PreparedTurn } from "../sessions/contract.ts";

export interface StoredOrder {
  readonly order: GenerationOrder;
  readonly prepared: PreparedTurn | null;
}

interface OrderText {
  readonly order: Omit<GenerationOrder, "jobs"> & { readonly jobs: readonly JobText[] };
  readonly prepared:
    (Omit<PreparedTurn, "base" | "seen"> & { readonly base: { readonly snapshot: string | null; readonly tokens: number } }) | null;
}

/** Without its prompt, which choices share. */
type JobText = Omit<Job, "request"> & { readonly request: Omit<Job["request"], "prompt" | "resume" | "save"> };

export class OrderRows {
  readonly #rows: BlobRows;

  constructor(sql: SqlStorage) {
    this.#rows = new BlobRows(sql, "orders");
  }

  put({ order, prepared }: StoredOrder): void {
    const jobs = order.jobs.map((job): JobText => {
      const { prompt, resume: _resume, save: _save, ...request } = job.request;
      this.#rows.put(`prompt ${String(job.promptIndex)}`, bytesOf(prompt));
      return { ...job, request };
    });
    const text: OrderText = {
      order: { ...order, jobs },
      prepared:
        prepared === null ? null : { ...withoutTokens(prepared), base: { snapshot: prepared.base.snapshot, tokens: prepared.base.tokens } },
    };
    if (prepared !== null) {
      this.#rows.put("unread", bytesOf(prepared.base.unread));
      this.#rows.put("seen", bytesOf(prepared.seen));
    }
    this.#rows.put("order", new TextEncoder().encode(JSON.stringify(text)));
  }

  get(): StoredOrder | undefined {
    const bytes = this.#rows.get("order");
    if (bytes === undefined) return undefined;
    const { order, prepared } = JSON.parse(new TextDecoder().decode(bytes)) as OrderText;
    const jobs = order.jobs.map((job): Job => ({
      ...job,
      request: { ...job.request, prompt: this.#tokens(`prompt ${String(job.promptIndex)}`) },
    }));
    return {
      order: { ...order, jobs },
      prepared:
        prepared === null ? null : { ...prepared, seen: this.#tokens("seen"), base: { ...prepared.base, unread: this.#tokens("unread") } },
    };
  }

  #tokens(name: string): Uint32Array {
    const bytes = this.#rows.get(name) ?? new Uint8Array();
    return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Uint32Array.BYTES_PER_ELEMENT);
  }
}

function withoutTokens({ session, turn }: PreparedTurn): Pick<PreparedTurn, "session" | "turn"> {
  return { session, turn };
}

function bytesOf(tokens: Uint32Array): Uint8Array {
  return new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
}
