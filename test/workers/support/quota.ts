/** Quotas of tenants of tests, and what they have used of them. */
import { env } from "cloudflare:workers";
import { failure, type ErrorAnswer } from "./gateway-client.ts";
import type { SessionClient } from "./session-client.ts";

export interface Usage {
  readonly sessions: number;
  readonly bytes: Readonly<Record<"states" | "sessions" | "contexts" | "shares" | "streams", number>>;
  readonly used_bytes: number;
  readonly quota_bytes: number;
}

/** Of tenants whose object is not there yet. */
export function setQuota(bytes: number | undefined): void {
  const variables = env as unknown as Record<string, string>;
  if (bytes === undefined) delete variables["TENANT_QUOTA_BYTES"];
  else variables["TENANT_QUOTA_BYTES"] = String(bytes);
}

export async function usage(client: SessionClient): Promise<Usage> {
  return await (await client.call("GET", "/v1/usage")).json();
}

/** Calls until it is refused, at most `most` times: how often it was not, and the refusal. */
export async function untilRefused(call: () => Promise<Response>, most = 100): Promise<{ times: number; error: ErrorAnswer["error"] }> {
  for (let times = 0; times < most; times++) {
    const response = await call();
    if (response.status >= 400) return { times, error: await failure(response) };
    await response.text();
  }
  throw new Error(`${String(most)} calls were not refused`);
}
