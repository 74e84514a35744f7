/**
 * What this isolate has seen of the backends itself: how its requests ended there, and which are on their way. The registry's snapshot is
 * seconds old; this is not. A state machine with an injected clock, which holds names and numbers only.
 */
import type { ServiceFailure } from "../contracts/errors.ts";
import { Breaker, breakerDefaults, type BreakerOptions, type BreakerState } from "./breaker.ts";
import type { Replica } from "./replica.ts";
import { steadyClock } from "./steady-clock.ts";

/** What plans read. */
export interface HealthView {
  breaker(name: string): BreakerState;
  /** Milliseconds until a backend whose breaker is open may be tried again. */
  opensIn(name: string): number;
  /**
   * Requests that it has now, waiting ones with them: what it reported, and of this isolate's own those begun since, less those of the reported
   * ones that have ended since.
   */
  requestsAt(replica: Heard & Pick<Replica, "load">): number;
  /** Whether it has refused one of this isolate's requests for want of room since it was last heard of. */
  isFull(replica: Heard): boolean;
  /** This isolate's requests on their way. */
  readonly inFlight: number;
  /** Those of that affinity among them, wherever they run. */
  inFlightOf(affinity: string): number;
  /** Name of the replica at which this isolate's last request of that affinity ended well; undefined where none is remembered. */
  lastOf(affinity: string): string | undefined;
}

type Heard = Pick<Replica, "name" | "heardAt">;

/** How an attempt ended. `neither`: by the client, or by a refusal that is the request's fault. `full`: refused for want of room. */
export type AttemptOutcome = "success" | "failure" | "full" | "neither";

export interface Attempt {
  /** The first token has come, which is proof enough for a trial. What comes later is told by `end`. */
  worked(): void;
  /** Counts once; call it whatever happens. */
  end(outcome: AttemptOutcome): void;
}

/** How a failure of an attempt counts for the backend that gave it. */
export function outcomeOf({ code, status }: Pick<ServiceFailure, "code" | "status">): AttemptOutcome {
  if (code === "overloaded") return "full";
  // The client went away; or the state, or the request, is not for this backend.
  if (code === "cancelled" || code === "state_rejected" || code === "state_lost" || status < 500) return "neither";
  return "failure";
}

interface InFlight {
  readonly beganAt: number;
  /** When the replica had last been heard of, as was known when it began. */
  readonly heardAt: number;
}

interface BackendRecord {
  readonly breaker: Breaker;
  readonly inFlight: Set<InFlight>;
  /** The newest that is known of when it was last heard of. */
  heardAt: number;
  /** Of the attempts that this report counts: those that have ended since. */
  ended: number;
  /** The report after which it had no room. */
  fullAt: number | undefined;
}

/** Replicas come and go under new names; beyond so many, those without anything to remember are forgotten. */
const mostRecords = 4096;
/** Affinities whose last replica is remembered. A session's object asks from where it is, so that the isolate is mostly the same. */
const mostAffinities = 16_384;

export class Health implements HealthView {
  readonly #now: () => number;
  readonly #options: BreakerOptions;
  readonly #records = new Map<string, BackendRecord>();
  readonly #byAffinity = new Map<string, number>();
  readonly #last = new Map<string, string>();
  readonly #steady: () => number;
  #changes = 0;
  #inFlight = 0;

  /** @param now Unix milliseconds; may jump. */
  constructor(now: () => number, options: BreakerOptions = breakerDefaults) {
    this.#now = now;
    this.#options = options;
    this.#steady = steadyClock(now);
  }

  /** Rises whenever a request ends or a trial works, after which there may be more room than before. */
  get changes(): number {
    return this.#changes;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  breaker(name: string): BreakerState {
    return this.#records.get(name)?.breaker.state(this.#steady()) ?? "closed";
  }

  opensIn(name: string): number {
    return this.#records.get(name)?.breaker.opensIn(this.#steady()) ?? 0;
  }

  requestsAt({ name, heardAt, load: { running, waiting } }: Heard & Pick<Replica, "load">): number {
    const record = this.#records.get(name);
    if (record === undefined) return running + waiting;
    hear(record, heardAt);
    let begun = 0;
    // The clocks of this isolate and of the registry may differ, so that an attempt is new by either: a request counted twice does less harm than a herd.
    for (const one of record.inFlight) if (one.heardAt >= heardAt || one.beganAt >= heardAt) begun += 1;
    // A backend that reports nothing has at least what this isolate has sent there.
    return Math.max(record.inFlight.size, running + waiting + begun - (record.heardAt === heardAt ? record.ended : 0));
  }

  isFull({ name, heardAt }: Heard): boolean {
    return this.#records.get(name)?.fullAt === heardAt;
  }

  inFlightOf(affinity: string): number {
    return this.#byAffinity.get(affinity) ?? 0;
  }

  lastOf(affinity: string): string | undefined {
    return this.#last.get(affinity);
  }

  /** A request is about to go to this replica. */
  begin({ name, heardAt }: Heard, affinity: string | null): Attempt {
    const record = this.#record(name);
    hear(record, heardAt);
    const trial = record.breaker.begin(this.#steady());
    const mine: InFlight = { beganAt: this.#now(), heardAt };
    record.inFlight.add(mine);
    this.#inFlight += 1;
    this.#count(affinity, 1);
    let isTrial = trial;
    return {
      worked: () => {
        if (isTrial === undefined || !record.inFlight.has(mine)) return;
        this.#changes += 1;
        record.breaker.succeeded(this.#steady(), isTrial);
        isTrial = undefined;
      },
      end: (outcome) => {
        if (!record.inFlight.delete(mine)) return;
        this.#changes += 1;
        this.#inFlight -= 1;
        this.#count(affinity, -1);
        if (mine.heardAt < record.heardAt) record.ended += 1;
        if (outcome === "full") record.fullAt = mine.heardAt;
        if (outcome === "success" && affinity !== null) this.#remember(affinity, name);
        if (outcome === "success") record.breaker.succeeded(this.#steady(), isTrial);
        else if (outcome === "failure") record.breaker.failed(this.#steady(), isTrial);
        else record.breaker.neither(isTrial);
      },
    };
  }

  #count(affinity: string | null, change: 1 | -1): void {
    if (affinity === null) return;
    const count = this.inFlightOf(affinity) + change;
    if (count === 0) this.#byAffinity.delete(affinity);
    else this.#byAffinity.set(affinity, count);
  }

  #remember(affinity: string, name: string): void {
    // The newest use is the last.
    this.#last.delete(affinity);
    this.#last.set(affinity, name);
    for (const [oldest] of this.#last) {
      if (this.#last.size <= mostAffinities) break;
      this.#last.delete(oldest);
    }
  }

  #record(name: string): BackendRecord {
    const known = this.#records.get(name);
    if (known !== undefined) return known;
    if (this.#records.size >= mostRecords) {
      for (const [other, { breaker, inFlight }] of this.#records) if (inFlight.size === 0 && breaker.isFresh) this.#records.delete(other);
    }
    const record: BackendRecord = {
      breaker: new Breaker(this.#options),
      inFlight: new Set(),
      heardAt: Number.NEGATIVE_INFINITY,
      ended: 0,
      fullAt: undefined,
    };
    this.#records.set(name, record);
    return record;
  }
}

/** Another report counts nobody who has ended before it. */
function hear(record: BackendRecord, heardAt: number): void {
  if (heardAt === record.heardAt) return;
  record.heardAt = heardAt;
  record.ended = 0;
}
