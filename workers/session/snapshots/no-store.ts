/** Where nothing can be sealed nothing is kept: nothing is found, and whoever wants to keep something is told why not. */
import type { Outcome } from "../../contracts/outcome.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { Findings, PutOrder, SnapshotStore } from "./contract.ts";

type Refusal = Extract<Outcome<never>, { readonly ok: false }>;

export class NoStore implements SnapshotStore {
  readonly #refusal: Refusal;

  constructor(failure: ServiceFailure) {
    this.#refusal = { ok: false, failure };
  }

  find(): Promise<Findings> {
    return Promise.resolve({ candidates: [], worthSaving: null });
  }

  open(): Promise<Refusal> {
    return Promise.resolve(this.#refusal);
  }

  async put(_order: PutOrder, bytes: ReadableStream<Uint8Array>): Promise<Refusal> {
    await bytes.cancel(this.#refusal.failure.message).catch(() => undefined);
    return this.#refusal;
  }

  keep(): Promise<Refusal> {
    return Promise.resolve(this.#refusal);
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  facts(): Promise<null> {
    return Promise.resolve(null);
  }

  opened(): Promise<void> {
    return Promise.resolve();
  }
}
