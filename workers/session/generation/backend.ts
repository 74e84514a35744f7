/** The engine as this service asks it: in a tenant's share, and with states that come rounded where the operator wants them smaller. */
import type { GenerationBackend, Priority } from "../../contracts/engine.ts";
import type { TenantId } from "../../contracts/session.ts";
import { toHex } from "../../encoding/hex.ts";
import type { SessionEnvironment } from "../environment.ts";
import { stateRecurrent } from "../settings.ts";

/** Domain of the digest: a tenant's share says nothing of what else the tenant is called. */
const shareDomain = "spikingbrain share 1\n";
const shareBytes = 16;

export interface Asker {
  /** Null: the share of all who have no key. */
  readonly tenant: TenantId | null;
  readonly priority: Priority;
}

/** @throws ServiceError `configuration_invalid`. */
export function engineOf(
  environment: Pick<SessionEnvironment, "ENGINE" | "STATE_RECURRENT">,
  { tenant, priority }: Asker,
): Pick<GenerationBackend, "generate"> {
  const { ENGINE } = environment;
  const recurrent = stateRecurrent(environment);
  const share = tenant === null ? Promise.resolve(null) : shareOf(tenant);
  return {
    generate: async ({ save, ...request }) =>
      ENGINE.generate({
        ...request,
        ...{ share: await share, priority },
        ...(save === undefined ? {} : { save: recurrent === "f32" ? save : { ...save, recurrent } }),
      }),
  };
}

/** The name under which the engine shares its time and memory out to a tenant. */
export async function shareOf(tenant: TenantId): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(shareDomain + tenant));
  return toHex(new Uint8Array(digest, 0, shareBytes));
}
