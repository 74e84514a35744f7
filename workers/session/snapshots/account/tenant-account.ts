/**
 * A tenant's account as one owner of data uses it. A charge is what its owner holds as a whole, so that one whose answer was lost is made again.
 * An account that can't be reached or does not answer costs the count, until the owner is charged the next time, and never the work itself.
 */
import type { ServiceFailure } from "../../../contracts/errors.ts";
import { describeCause, logLine } from "../../../observe/log-line.ts";
import type { SessionEnvironment } from "../../environment.ts";
import { answerOf } from "../tiers/deadline.ts";
import type { Account, Charge } from "./contract.ts";

const attempts = 2;
/** As long as a lookup of states may take. */
const answerMilliseconds = 2_000;

export class TenantAccount {
  readonly #environment: Pick<SessionEnvironment, "TENANT_OBJECT">;
  readonly #tenant: string;
  /** One call after another, so that none is overtaken by an older one. */
  #last: Promise<unknown> = Promise.resolve();
  #isBehind = false;

  constructor(environment: Pick<SessionEnvironment, "TENANT_OBJECT">, tenant: string) {
    this.#environment = environment;
    this.#tenant = tenant;
  }

  /** Whether the last call did not reach it: it may not know of its owner then. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Before it is written: why it may not be. */
  async admit(charge: Charge): Promise<ServiceFailure | undefined> {
    const outcome = await this.#call(charge.owner, (account) => account.admit(charge));
    return outcome?.ok === false ? outcome.failure : undefined;
  }

  /** What is there already. */
  async charge(charge: Charge): Promise<void> {
    await this.#call(charge.owner, (account) => account.charge(charge));
  }

  /** They hold nothing any more. What isn't heard of ends by itself. */
  async discharge(owners: readonly string[]): Promise<void> {
    if (owners.length > 0) await this.#call(owners.join(", "), (account) => account.discharge(owners));
  }

  /** Once what was called is done. */
  async idle(): Promise<void> {
    await this.#last;
  }

  async #call<T>(owner: string, call: (account: Account) => Promise<T>): Promise<T | undefined> {
    const next = this.#last.then(() => this.#made(owner, call));
    this.#last = next;
    return await next;
  }

  async #made<T>(owner: string, call: (account: Account) => Promise<T>): Promise<T | undefined> {
    try {
      const value = await answerOf("the tenant's account", this.#try(call), answerMilliseconds);
      this.#isBehind = false;
      return value;
    } catch (cause) {
      this.#isBehind = true;
      logLine("error", "charge_not_made", { owner, cause: describeCause(cause) });
      return undefined;
    }
  }

  async #try<T>(call: (account: Account) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        const account: Account = this.#environment.TENANT_OBJECT.getByName(this.#tenant);
        return await call(account);
      } catch (cause) {
        if (attempt === attempts) throw cause;
      }
    }
  }
}
