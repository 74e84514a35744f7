/** A stored state on its way to whichever backend takes it, by reference. */
import { RpcTarget } from "cloudflare:workers";
import type { Outcome } from "../../contracts/outcome.ts";
import type { StateSource } from "../../contracts/engine.ts";
import { ServiceError, type ServiceFailure } from "../../contracts/errors.ts";

type Bytes = ReadableStream<Uint8Array>;

export class StateOpening {
  readonly #open: (fromPage: number) => Promise<Bytes>;
  readonly #tokens: () => Promise<Uint32Array>;
  /** The whole file is asked for at once, while the backend is being asked: nearly every backend wants it. */
  #whole: Promise<Outcome<Bytes>> | undefined;

  constructor(open: (fromPage: number) => Promise<Bytes>, tokens: () => Promise<Uint32Array>) {
    this.#open = open;
    this.#tokens = tokens;
    this.#whole = this.#outcome(0);
  }

  /** What a backend is given. */
  get reference(): StateSource {
    return new StateReference(
      (fromPage) => this.#take(fromPage),
      () => outcomeOf(this.#tokens),
    );
  }

  /** Once the backend has answered: what it has not asked for is let go. */
  async discard(): Promise<void> {
    const whole = await this.#whole;
    this.#whole = undefined;
    if (whole?.ok === true) await whole.value.cancel("no backend has asked for the state").catch(() => undefined);
  }

  async #take(fromPage: number): Promise<Outcome<Bytes>> {
    if (!Number.isInteger(fromPage) || fromPage < 0)
      return { ok: false, failure: notOpened(`fromPage must be an integer from 0 on; it is ${String(fromPage)}`) };
    const whole = fromPage === 0 ? this.#whole : undefined;
    if (whole === undefined) return await this.#outcome(fromPage);
    this.#whole = undefined;
    return await whole;
  }

  async #outcome(fromPage: number): Promise<Outcome<Bytes>> {
    return await outcomeOf(() => this.#open(fromPage));
  }
}

async function outcomeOf<T>(call: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await call() };
  } catch (cause) {
    return { ok: false, failure: notOpened(cause instanceof ServiceError ? cause.failure.message : "the store could not be reached") };
  }
}

/** The only thing of it that crosses to the backend. */
class StateReference extends RpcTarget implements StateSource {
  readonly #take: (fromPage: number) => Promise<Outcome<Bytes>>;
  readonly #tokens: () => Promise<Outcome<Uint32Array>>;

  constructor(take: (fromPage: number) => Promise<Outcome<Bytes>>, tokens: () => Promise<Outcome<Uint32Array>>) {
    super();
    this.#take = take;
    this.#tokens = tokens;
  }

  async open(fromPage: number): Promise<Outcome<Bytes>> {
    return await this.#take(fromPage);
  }

  async tokens(): Promise<Outcome<Uint32Array>> {
    return await this.#tokens();
  }
}

function notOpened(message: string): ServiceFailure {
  return { code: "state_rejected", status: 503, message, retryable: true };
}
