/** The pool as this service asks it: in a tenant's share, with what it may plan by, and with states that come rounded where the operator wants them smaller. */
import type { Outcome } from "../../contracts/outcome.ts";
import type { TenantId } from "../../contracts/tenant.ts";
import type { GenerateRequest, Priority } from "../../contracts/engine.ts";
import type { PlacedStream } from "../../contracts/pool.ts";
import { toHex } from "../../encoding/hex.ts";
import { pageTokens } from "../../state-file/page.ts";
import type { SessionEnvironment } from "../environment.ts";
import { stateRecurrent } from "../settings.ts";
import { SignalledCaller } from "../../waiting/caller.ts";

/** Domains of the digests: a tenant's share says nothing of what else the tenant is called, and an affinity nothing of what a text begins with. */
const shareDomain = "spikingbrain share 1\n";
const affinityDomain = "spikingbrain affinity 1\n";
const digestBytes = 16;

export interface Asker {
  /** Null: the share of all who have no key. */
  readonly tenant: TenantId | null;
  readonly priority: Priority;
  /** The session whose text it is; null: the prompt's beginning says what it may have in common with others. */
  readonly session: string | null;
  /** The data centre that took the request; null where that is unknown. */
  readonly place: string | null;
  /** Name of the backend that last read this text or its beginning, as far as it is known; null, or left out, where it is not. */
  readonly stateAt?: string | null;
  /** Whether a second backend is asked where the first is slow with its first token; not where it is left out. */
  readonly hedge?: boolean;
}

export interface AskedFor {
  /** The whole prompt's first tokens, whatever of it is read from a state. */
  readonly beginning: Uint32Array;
  /** Backends that this answer has failed at. */
  readonly avoid: readonly string[];
  /** Where the last part of this answer ran; null before there is one. */
  readonly ranAt: string | null;
  /** Once nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** Has a request run somewhere. */
export type AskPool = (request: GenerateRequest, askedFor: AskedFor) => Promise<Outcome<PlacedStream>>;

/** @throws ServiceError `configuration_invalid`. */
export function askPool(
  environment: Pick<SessionEnvironment, "POOL" | "STATE_RECURRENT">,
  { tenant, priority, session, place, stateAt = null, hedge = false }: Asker,
): AskPool {
  const recurrent = stateRecurrent(environment);
  const share = tenant === null ? Promise.resolve(null) : shareOf(tenant);
  return async ({ save, ...request }, { beginning, avoid, ranAt, signal }) =>
    environment.POOL.run(
      {
        ...request,
        ...{ share: await share, priority },
        ...(save === undefined ? {} : { save: recurrent === "f32" ? save : { ...save, recurrent } }),
      },
      {
        ...{ affinity: tenant === null ? null : await affinityOf(tenant, session ?? beginning), stateAt: ranAt ?? stateAt },
        ...{ avoid, place, hedge },
      },
      new SignalledCaller(signal),
    );
}

/** The name under which backends share their time and memory out to a tenant. */
export async function shareOf(tenant: TenantId): Promise<string> {
  return await digestOf(shareDomain + tenant);
}

/** The same for all of a session, or for all of a tenant's prompts that begin alike; null where the beginning is shorter than a page. */
async function affinityOf(tenant: TenantId, of: string | Uint32Array): Promise<string | null> {
  if (typeof of !== "string" && of.length < pageTokens) return null;
  return await digestOf(`${affinityDomain}${tenant}\n${typeof of === "string" ? of : of.subarray(0, pageTokens).join()}`);
}

async function digestOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return toHex(new Uint8Array(digest, 0, digestBytes));
}
