/** A backend that plays a script: what tests of the pool ask in a replica's place, and the shortest there is to begin another one from. */
import type { Outcome } from "../../contracts/outcome.ts";
import type { GenerateEvent } from "../../contracts/engine.ts";
import type { ServiceFailure } from "../../contracts/errors.ts";
import type { BackendCall, EventBatches, ReplicaBackend } from "./contract.ts";
import { outgoing } from "./outgoing.ts";
import { httpRefusalOf } from "./http-refusal.ts";

export interface FakeScript {
  /** Refuses the call; null where it is taken. */
  refuses?(call: BackendCall): ServiceFailure | null | Promise<ServiceFailure | null>;
  /** The answer. It may stop short, throw, or wait for ever: `gone` is aborted when nobody reads any more. */
  answers(call: BackendCall, gone: AbortSignal): AsyncGenerator<GenerateEvent, void, undefined>;
}

export class FakeBackend implements ReplicaBackend {
  readonly #script: FakeScript;
  /** Every call that was taken or refused by the script, in order. */
  readonly calls: BackendCall[] = [];

  constructor(script: FakeScript) {
    this.#script = script;
  }

  async generate(call: BackendCall): Promise<Outcome<ReadableStream<Uint8Array>>> {
    const { request, model, signal, watch } = call;
    const invalid = httpRefusalOf(request, model);
    if (invalid !== undefined) return { ok: false, failure: invalid };
    this.calls.push(call);
    const refusal = (await this.#script.refuses?.(call)) ?? null;
    if (refusal !== null) return { ok: false, failure: refusal };
    const gone = new AbortController();
    const events = eachAlone(this.#script.answers(call, AbortSignal.any([signal, gone.signal])));
    return { ok: true, value: outgoing(events, { onEnd: () => gone.abort(), endsWithState: request.save?.end === true, watch }) };
  }
}

async function* eachAlone(events: AsyncGenerator<GenerateEvent, void, undefined>): EventBatches {
  for await (const event of events) yield [event];
}
