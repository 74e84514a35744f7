/** What a session's object holds, as its tenant's account counts it: all of its database, before something is added to it and after. */
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { SessionEnvironment } from "../environment.ts";
import type { ChargeKind } from "../snapshots/account/contract.ts";
import { TenantAccount } from "../snapshots/account/tenant-account.ts";
import { emptySessionBytes } from "./limits.ts";
import type { SessionRecord } from "./record.ts";
import { expiryOf } from "./session-facts.ts";

/** A session that is to be made and never was is counted so long. */
const unmadeMilliseconds = 3_600_000;
/** Until a session whose time is over has been deleted by its alarm. */
const deletionMilliseconds = 86_400_000;
/** A document asks for room this far ahead of its text, where there is so much. */
const stepBytes = 1 << 20;

const kinds: Readonly<Record<SessionRecord["kind"], ChargeKind>> = { session: "sessions", context: "contexts", share: "shares" };

export class SessionAccount {
  readonly #environment: Pick<SessionEnvironment, "TENANT_OBJECT">;
  readonly #databaseBytes: () => number;
  #account: TenantAccount | undefined;
  /** What was admitted last. */
  #admitted = 0;

  constructor(environment: Pick<SessionEnvironment, "TENANT_OBJECT">, databaseBytes: () => number) {
    this.#environment = environment;
    this.#databaseBytes = databaseBytes;
  }

  /** Why one that is not there yet, with so much in it, may not be made. */
  async admitNew(record: SessionRecord, bytes: number): Promise<ServiceFailure | undefined> {
    return await this.#admit(record, emptySessionBytes + bytes, Date.now() + unmadeMilliseconds);
  }

  /** Why it may not grow by so much. */
  async admit(record: SessionRecord, added: number): Promise<ServiceFailure | undefined> {
    return await this.#admit(record, this.#databaseBytes() + added, endOf(record));
  }

  /** The same, for what comes in many chunks: it asks seldom. */
  async admitChunk(record: SessionRecord, added: number): Promise<ServiceFailure | undefined> {
    if (this.#databaseBytes() + added <= this.#admitted) return undefined;
    const ahead = await this.admit(record, added + stepBytes);
    return ahead === undefined ? undefined : await this.admit(record, added);
  }

  /** What is there now. */
  async count(record: SessionRecord): Promise<void> {
    const bytes = this.#databaseBytes();
    this.#admitted = bytes;
    await this.#of(record).charge({ ...ownerOf(record), bytes, until: endOf(record) });
  }

  /** It is deleted. */
  async end(record: SessionRecord): Promise<void> {
    await this.#of(record).discharge([record.id]);
  }

  async #admit(record: SessionRecord, bytes: number, until: number): Promise<ServiceFailure | undefined> {
    const refusal = await this.#of(record).admit({ ...ownerOf(record), bytes, until });
    if (refusal === undefined) this.#admitted = bytes;
    return refusal;
  }

  #of({ tenant }: SessionRecord): TenantAccount {
    return (this.#account ??= new TenantAccount(this.#environment, tenant));
  }
}

const ownerOf = ({ id, kind }: SessionRecord) => ({ owner: id, kind: kinds[kind] });
/** Unix milliseconds: when it is gone, unless it is used again. */
export const endOf = (record: SessionRecord): number => expiryOf(record) * 1_000 + deletionMilliseconds;
