/** What a stream holds in its object, as its tenant's account counts it: its order and its log, until nobody can read it again. */
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { TenantId } from "../../contracts/tenant.ts";
import type { SessionEnvironment } from "../environment.ts";
import { TenantAccount } from "../snapshots/account/tenant-account.ts";

/** While it runs it is counted so far ahead: one that is lost with its object ends by itself. */
const runningMilliseconds = 3_600_000;
/** It is counted anew whenever it has grown by so much, and at its end. */
const stepBytes = 256 << 10;

export interface StreamAccountDependencies {
  readonly environment: Pick<SessionEnvironment, "TENANT_OBJECT">;
  readonly tenant: TenantId;
  readonly stream: string;
  /** What its rows hold now. */
  readonly bytes: () => number;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

export class StreamAccount {
  readonly #dependencies: StreamAccountDependencies;
  readonly #account: TenantAccount;
  /** Of what was not counted yet. */
  #grown = 0;
  /** Unix milliseconds. */
  #until = 0;
  #isClosed = false;

  constructor(dependencies: StreamAccountDependencies) {
    this.#dependencies = dependencies;
    this.#account = new TenantAccount(dependencies.environment, dependencies.tenant);
  }

  /** Why one whose order has so many bytes may not begin. What its answer adds is counted as it comes. */
  async admit(bytes: number): Promise<ServiceFailure | undefined> {
    this.#until = Date.now() + runningMilliseconds;
    return await this.#account.admit({ owner: this.#dependencies.stream, kind: "streams", bytes, until: this.#until });
  }

  /** Its log has grown. */
  grow(bytes: number): void {
    this.#grown += bytes;
    if (this.#grown >= stepBytes) this.#count(Date.now() + runningMilliseconds);
  }

  /** It still runs. */
  renew(): void {
    if (this.#until < Date.now() + runningMilliseconds / 2) this.#count(Date.now() + runningMilliseconds);
  }

  /** Whoever deletes the tenant finds its streams by their charges: one that the account may not know is counted again. */
  catchUp(): void {
    if (this.#account.isBehind) this.#count(this.#until);
  }

  /** It has ended, and its rows are gone by then; Unix milliseconds. */
  end(until: number): void {
    this.#count(until);
  }

  /** It is not charged from now on; resolves once it isn't any more. */
  async stop(): Promise<void> {
    this.#isClosed = true;
    await this.#account.idle();
  }

  /** It holds nothing any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#account.discharge([this.#dependencies.stream]);
  }

  #count(until: number): void {
    if (this.#isClosed) return;
    const { stream, bytes, waitUntil } = this.#dependencies;
    this.#grown = 0;
    this.#until = until;
    waitUntil(this.#account.charge({ owner: stream, kind: "streams", bytes: bytes(), until }));
  }
}
