/** Every variable of the registry with values that break its rule: named to whoever calls and in the log, and never replaced by a default. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import type { PoolEnvironment } from "../../../../workers/pool/environment.ts";
import { PoolService } from "../../../../workers/pool/index.ts";
import { registrySettings } from "../../../../workers/pool/registry/settings.ts";
import { spyOnLog } from "../../support/log-spy.ts";
import { signed } from "./support.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const odd = [" ", ",", "-1", "1e9", "abc", "0x10"];
const key = "A".repeat(43);
const variables: Record<string, { readonly rule: RegExp; readonly values: readonly string[] }> = {
  POOL_NODES: {
    rule: /^POOL_NODES must .*; its value, which is secret, is not\.$/,
    values: [...odd, `a:${key}`, `a:${key}=,`, `:${key}=`, `a:${key}=,a:${key}=`],
  },
  POOL_ACCESS: {
    rule: /^POOL_ACCESS must .*; its value, which is secret, is not\.$/,
    values: [...odd, key, `${key}:`, `:${key}`, `id:${key}:${key}`, `id:${key}\n`, `two words:${key}`],
  },
  POOL_HOSTS: { rule: /^POOL_HOSTS must .*; it is "/, values: [...odd, "*", "*.com", "10.0.0.1", "localhost", "gpu.internal"] },
  POOL_LOOPBACK: { rule: /^POOL_LOOPBACK must be one of allow, refuse; it is "/, values: [...odd, "true", "Allow"] },
  POOL_HEARTBEAT_SECONDS: {
    rule: /^POOL_HEARTBEAT_SECONDS must be a whole number of seconds from 1 to 60; it is "/,
    values: [...odd, "0", "1.5", "61"],
  },
  POOL_EXPIRY_SECONDS: { rule: /^POOL_EXPIRY_SECONDS must be .*; it is "/, values: [...odd, "1", "9", "601"] },
};

test.each(Object.entries(variables).flatMap(([name, { rule, values }]) => values.map((value) => [name, value, rule] as const)))(
  "%s=%j",
  async (name, value, rule) => {
    const lines = spyOnLog();
    const service = new PoolService(createExecutionContext(), { ...(env as unknown as PoolEnvironment), [name]: value });
    const outcome = await service.tell(signed({}));
    expect(outcome).toMatchObject({ ok: false, failure: { code: "configuration_invalid", status: 500, retryable: false } });
    expect(outcome.ok ? "" : outcome.failure.message).toMatch(rule);
    expect(lines.filter((line) => line.includes('"event":"configuration_invalid"'))).toEqual([expect.stringContaining(name)]);
    if (name === "POOL_NODES" || name === "POOL_ACCESS") expect(lines.join("\n")).not.toContain(key);
  },
);

test("defaults, and the ends of the ranges", () => {
  expect(registrySettings({})).toEqual({ heartbeatSeconds: 5, expirySeconds: 20 });
  expect(registrySettings({ POOL_HEARTBEAT_SECONDS: "1", POOL_EXPIRY_SECONDS: "2" })).toEqual({ heartbeatSeconds: 1, expirySeconds: 2 });
  expect(registrySettings({ POOL_HEARTBEAT_SECONDS: "60", POOL_EXPIRY_SECONDS: "600" })).toEqual({
    heartbeatSeconds: 60,
    expirySeconds: 600,
  });
});
