/**
 * An answer that no object can own, because none can be reached or its disk is full: it runs in the call that asked for it. It ends with its
 * client, and nobody can come back to it, but it is an answer. States are still found and kept where that works.
 */
import type { Caller } from "../../contracts/caller.ts";
import type { Outcome } from "../../contracts/outcome.ts";
import { ServiceError } from "../../contracts/errors.ts";
import type { GenerationOrder, OpenStream } from "../../contracts/session.ts";
import { modelOfVersion } from "../../models/served-model.ts";
import type { SessionEnvironment } from "../environment.ts";
import { tenantStore } from "../snapshots/tiers/near-store.ts";
import { Life } from "./life.ts";
import { InMemoryLogRows } from "./log-rows.ts";
import { whileWaiting } from "../../waiting/caller.ts";

export async function startUnwritten(
  environment: SessionEnvironment,
  context: Pick<ExecutionContext, "waitUntil">,
  order: GenerationOrder,
  caller?: Caller,
): Promise<Outcome<OpenStream>> {
  const life = new Life({
    stored: { order: { ...order, resumable: false }, prepared: null },
    model: await modelOfVersion(environment, order.model),
    environment,
    rows: new InMemoryLogRows(),
    session: undefined,
    store: order.tenant === null ? undefined : tenantStore(environment, order.tenant),
    onEnded: () => undefined,
    onIdle: () => undefined,
  });
  try {
    await whileWaiting(
      caller,
      () => {
        life.leave();
      },
      () => life.begin(),
    );
  } catch (cause) {
    if (cause instanceof ServiceError) return { ok: false, failure: cause.failure };
    throw cause;
  }
  context.waitUntil(life.run());
  return { ok: true, value: await life.openUnderWay() };
}
