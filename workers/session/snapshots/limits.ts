/** What operators may set, with what holds where they don't. */
import type { SessionEnvironment } from "../environment.ts";

const QUOTA_BYTES = 1 << 30;
const HOT_SECONDS = 3_600;
const CACHE_SECONDS = 86_400;

export interface StoreLimits {
  readonly quotaBytes: number;
  readonly hotMilliseconds: number;
  readonly cacheMilliseconds: number;
}

type Settings = Pick<SessionEnvironment, "TENANT_QUOTA_BYTES" | "STATE_HOT_SECONDS" | "STATE_CACHE_SECONDS">;

/** @throws RangeError that names the variable which isn't a number above 0. */
export function limitsOf(settings: Settings): StoreLimits {
  return {
    quotaBytes: positive(settings, "TENANT_QUOTA_BYTES") ?? QUOTA_BYTES,
    hotMilliseconds: 1_000 * (positive(settings, "STATE_HOT_SECONDS") ?? HOT_SECONDS),
    cacheMilliseconds: 1_000 * (positive(settings, "STATE_CACHE_SECONDS") ?? CACHE_SECONDS),
  };
}

function positive(settings: Settings, name: keyof Settings): number | undefined {
  const text = settings[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new RangeError(`${name}: it must be a number above 0; it is "${text}"`);
  return value;
}
