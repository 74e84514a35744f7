/** From a request to a stream: plans, waits for room where there is none, and tries the candidates until one has taken it. */
import type { Caller } from "../contracts/caller.ts";
import type { Outcome } from "../contracts/outcome.ts";
import type { GenerateRequest } from "../contracts/engine.ts";
import type { ServiceFailure } from "../contracts/errors.ts";
import type { PlacementWishes } from "../contracts/pool.ts";
import { begin, type Begun } from "./begin.ts";
import type { PoolEnvironment } from "./environment.ts";
import type { Attempt, Health } from "./health.ts";
import { hedged } from "./hedge.ts";
import { plan, type Candidate, type Plan } from "./policy.ts";
import type { WaitQueue } from "./queue.ts";
import type { PoolSnapshot } from "./replica.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { PoolSettings } from "./settings.ts";
import { movesStates, placedWithoutStates } from "./without-states.ts";

export interface DispatchOptions {
  readonly environment: PoolEnvironment;
  readonly settings: PoolSettings;
  readonly health: Health;
  readonly budget: RetryBudget;
  readonly queue: WaitQueue;
  /** Undefined where whoever asks cannot go. */
  readonly caller: Caller | undefined;
  /** The newest there is; renews it beside, where it is old. */
  readonly snapshot: () => PoolSnapshot;
  /** Why the engine is not among the backends; undefined where it is, or is not known to be away. */
  readonly engineFailure: () => ServiceFailure | undefined;
}

/** A candidate, and whether it gets the request without its states. */
interface Way extends Candidate {
  readonly bare: boolean;
}

export class Dispatch {
  readonly #options: DispatchOptions;
  readonly #request: GenerateRequest;
  readonly #wishes: PlacementWishes;
  /** Each way that has failed here, as a reason for the next. */
  readonly #failed: string[] = [];
  #failure: ServiceFailure | undefined;

  constructor(options: DispatchOptions, request: GenerateRequest, wishes: PlacementWishes) {
    this.#options = options;
    this.#request = request;
    this.#wishes = wishes;
  }

  async run(): Promise<Outcome<Begun>> {
    const { queue, budget, settings, caller } = this.#options;
    const { model, share = null } = this.#request;
    budget.request();
    let first: Attempt | undefined;
    const found = await queue.run(
      { share, lane: `${model.id} ${model.digest}`, ...(caller === undefined ? {} : { left: () => caller.left() }) },
      () => this.#find(),
      ({ ways: [best] }) => {
        if (best !== undefined) first = this.#attempt(best);
      },
    );
    if (!found.ok) return found;
    const { ways, shed } = found.value;
    const [best, ...others] = ways;
    if (best === undefined || first === undefined) return { ok: false, failure: shed };
    const begun = await this.#try(best, first);
    const rest = others.values();
    if (begun === undefined) return (await this.#next(rest)) ?? { ok: false, failure: this.#failure ?? shed };
    if (!this.#wishes.hedge) return { ok: true, value: begun };
    const value = await hedged(begun, settings.hedge, async () => {
      const second = await this.#next(rest, true);
      return second?.ok === true ? second.value : undefined;
    });
    return { ok: true, value };
  }

  /** The next that takes it; undefined where there is none that may be tried. */
  async #next(ways: Iterator<Way>, once = false): Promise<Outcome<Begun> | undefined> {
    for (let next = ways.next(); next.done !== true; next = ways.next()) {
      if (this.#failure !== undefined && !this.#failure.retryable) return { ok: false, failure: this.#failure };
      // The budget keeps what is left of the replicas from drowning; the engine's own queue keeps it.
      if (next.value.replica.kind !== "engine" && !this.#options.budget.take()) continue;
      const begun = await this.#try(next.value, this.#attempt(next.value));
      if (begun !== undefined) return { ok: true, value: begun };
      if (once) return undefined;
    }
    return undefined;
  }

  async #try(way: Way, attempt: Attempt): Promise<Begun | undefined> {
    const { environment, settings } = this.#options;
    const { replica, bare } = way;
    const reasons = [...way.reasons, ...this.#failed];
    const outcome = await begin(environment, { replica, reasons, bare, request: this.#request, attempt, limits: settings.limits });
    if (outcome.ok) return outcome.value;
    this.#failure = outcome.failure;
    this.#failed.push(`'${replica.name}' did not take it (${outcome.failure.code})`);
    return undefined;
  }

  #attempt({ replica }: Way): Attempt {
    return this.#options.health.begin(replica, this.#wishes.affinity);
  }

  /** Undefined where waiting for room helps. */
  #find(): { readonly ways: readonly Way[]; readonly shed: ServiceFailure } | undefined {
    const snapshot = this.#options.snapshot();
    const full = this.#plan(this.#request, snapshot);
    const bare = movesStates(this.#request) ? this.#plan(placedWithoutStates(this.#request), snapshot) : undefined;
    const ways = inOrder(full, bare, this.#wishes.avoid);
    if (ways.length === 0 && (full.waitingHelps || bare?.waitingHelps === true)) return undefined;
    const shed = (bare ?? full).shed ?? full.shed;
    const away = snapshot.replicas.some(({ models }) => models.some(({ id }) => id === this.#request.model.id))
      ? undefined
      : this.#options.engineFailure();
    return { ways, shed: away ?? shed ?? noPlan };
  }

  #plan(request: Parameters<typeof placedWithoutStates>[0], snapshot: PoolSnapshot): Plan {
    return plan({ request, wishes: this.#wishes }, snapshot, this.#options.health, Math.random);
  }
}

/** Those that move the request's states before those that read all of it again; each after the others of its rank. */
function inOrder(full: Plan, bare: Plan | undefined, avoid: readonly string[]): readonly Way[] {
  const known = new Set(full.candidates.map(({ replica }) => replica.name));
  const all: Way[] = [
    ...full.candidates.map((one) => ({ ...one, bare: false })),
    ...(bare?.candidates ?? [])
      .filter(({ replica }) => !known.has(replica.name))
      .map((one) => ({ ...one, bare: true, reasons: [...one.reasons, "reads the whole text, as it moves no states"] })),
  ];
  const rank = ({ replica }: Way) => (avoid.includes(replica.name) ? 2 : replica.kind === "engine" ? 1 : 0);
  return all.toSorted((left, right) => rank(left) - rank(right));
}

const noPlan: ServiceFailure = {
  code: "engine_unavailable",
  status: 503,
  message: "No backend can take the request now.",
  retryable: true,
  retryAfterSeconds: 2,
};
