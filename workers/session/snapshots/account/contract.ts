/** What a tenant keeps beside its snapshots, in the one account of bytes that its quota bounds. */
import type { Outcome } from "../../../contracts/outcome.ts";

/** What users wrote, and the logs of answers that can be read again. An imported session is a session. */
export const chargeKinds = ["sessions", "contexts", "shares", "streams"] as const;
export type ChargeKind = (typeof chargeKinds)[number];

export type ChargedBytes = Readonly<Record<ChargeKind, number>>;

/** Everything that an owner holds: it takes the place of what the owner was charged before, so that the same charge twice counts once. */
export interface Charge {
  /** Id of a session, a context, a stream, or of the session that a share shows. */
  readonly owner: string;
  readonly kind: ChargeKind;
  readonly bytes: number;
  /** Unix milliseconds. From then on it no longer counts, so that no crash leaves a charge for ever: owners renew theirs. */
  readonly until: number;
}

/** Methods of the tenant's object. */
export interface Account {
  /** Before it is written: `quota_exceeded` where it would grow beyond the quota though every cached snapshot was evicted; then nothing has changed. */
  admit(charge: Charge): Promise<Outcome<null>>;
  /** What is there already, however much it is: the next one that wants to grow is refused. */
  charge(charge: Charge): Promise<void>;
  /** They hold nothing any more. */
  discharge(owners: readonly string[]): Promise<void>;
  /** Owners of a kind. */
  charged(kind: ChargeKind): Promise<readonly string[]>;
}
