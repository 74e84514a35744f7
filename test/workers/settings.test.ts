/** Every variable of gateway and session with values that break its rule: named in the answer and in the log, and never replaced by a default. */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { apiKeys, gatewaySettings } from "../../workers/gateway/settings.ts";
import type { SessionEnvironment } from "../../workers/session/environment.ts";
import { stateRecurrent, storeSettings, streamSettings } from "../../workers/session/settings.ts";
import { SessionService } from "../../workers/session/index.ts";
import { rememberedSettings, wholeNumber } from "../../workers/settings.ts";
import { failure, json, requestWith, type Variables } from "./support/gateway-client.ts";

const keepAliveRule = /^KEEP_ALIVE_SECONDS must be a number of seconds from 0\.01 to 3600, with at most three decimals; it is /;
const originsRule = /^CORS_ORIGINS must be origins, each SCHEME:\/\/HOST or SCHEME:\/\/HOST:PORT .*separated by commas; it is /;
const keysRule = /^API_KEYS must be keys, .*separated by commas; its value, which is secret, is not\.$/;

const hugeNumber = "9".repeat(400);
const oddNumbers = ["NaN", " ", "-1", "1e9", "abc", "Infinity", "0x10", "1,5", "１", hugeNumber];

/** Each of them breaks the rule of its variable. */
const gatewayVariables: Record<string, { readonly rule: RegExp; readonly values: readonly string[] }> = {
  KEEP_ALIVE_SECONDS: { rule: keepAliveRule, values: [...oddNumbers, "0", "1.2345", "3601"] },
  CORS_ORIGINS: {
    rule: originsRule,
    values: [...oddNumbers, ",", "*", "https://one.test/", "https://one.test,", "HTTPS://one.test", "one.test"],
  },
  API_KEYS: { rule: keysRule, values: [" ", ",", ", ,", "sk-1,", ",sk-1", "sk-1,,sk-2", "sk 1", "\t"] },
};

/** Of the session Worker, by whose calls they are read. */
const number = (name: string, values: readonly string[]) => ({
  [name]: { rule: new RegExp(`^${name} must be a (whole )?number of `), values },
});
const key = "A".repeat(43);
const sessionVariables: typeof gatewayVariables = {
  ...number("STREAM_GRACE_SECONDS", [...oddNumbers, "86401", "0.0001"]),
  ...number("STREAM_KEEP_SECONDS", [...oddNumbers, "31536001"]),
  ...number("STATE_HOT_SECONDS", [...oddNumbers, "0"]),
  ...number("STATE_CACHE_SECONDS", [...oddNumbers, "0"]),
  ...number("TENANT_QUOTA_BYTES", [...oddNumbers, "0", "1.5"]),
  STATE_RECURRENT: {
    rule: /^STATE_RECURRENT must be one of f32, bf16; it is "/,
    values: [...oddNumbers, "0", "1.5", "F32", "f32 ", "f32,bf16"],
  },
  STATE_KEYS: {
    rule: /^STATE_KEYS must .*; its value, which is secret, is not\.$/,
    values: [...oddNumbers, "0", ",", "1.5", `1:${key}`, `1:${key}=,`, `0:${key}=`, `1:${key}=,1:${key}=`, `1:${key}=;2:${key}=`],
  },
};

const cases = (table: typeof gatewayVariables) =>
  Object.entries(table).flatMap(([name, { rule, values }]) => values.map((value) => [name, value, rule] as const));

afterEach(() => {
  vi.restoreAllMocks();
});

const logged = () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  return () => log.mock.calls.flat().join("\n");
};

describe("the gateway", () => {
  test.each(cases(gatewayVariables))("refuses %s=%j", async (name, value, rule) => {
    const log = logged();
    for (const path of ["/v1/models", "/ready"]) {
      const answer = await requestWith({ [name]: value }, path, { headers: { authorization: "Bearer sk-1" } });
      expect(answer.status).toBe(500);
      const error = await failure(answer);
      expect(error).toMatchObject({ code: "configuration_invalid", type: "server_error", param: null });
      expect(error.message).toMatch(rule);
    }
    expect(log()).toContain(name);
  });

  test.each([{}, { API_KEYS: "" }])("is open with %j", async (variables: Variables) => {
    expect((await requestWith(variables, "/v1/models")).status).toBe(200);
    expect(apiKeys(variables)).toEqual([]);
  });

  test("takes values at the ends of their ranges, and what wrangler.toml holds as a number", () => {
    const keepAlive = (value: unknown) => gatewaySettings({ KEEP_ALIVE_SECONDS: value as string }).keepAliveMilliseconds;
    expect([undefined, "", "0.01", "1.5", "3600", 2].map(keepAlive)).toEqual([15_000, 15_000, 10, 1_500, 3_600_000, 2_000]);
    const origins = "http://localhost:5173, chrome-extension://abc,https://one.test";
    expect(gatewaySettings({ CORS_ORIGINS: origins }).corsOrigins).toEqual([
      "http://localhost:5173",
      "chrome-extension://abc",
      "https://one.test",
    ]);
    expect(apiKeys({ API_KEYS: " sk-1 ,sk-2" })).toEqual(["sk-1", "sk-2"]);
  });

  test("tells no secret", async () => {
    const log = logged();
    const answer = await requestWith({ API_KEYS: "sk-very-secret,," }, "/v1/models");
    expect((await answer.text()) + log()).not.toContain("very-secret");
  });
});

describe("the session Worker", () => {
  const serviceWith = (variables: Record<string, string>) =>
    new SessionService(createExecutionContext(), { ...(env as unknown as SessionEnvironment), ...variables });
  const message = { model: "tiny", messages: [{ role: "user", content: "hi" }], max_tokens: 1 };

  test.each(cases(sessionVariables))("refuses %s=%j", async (name, value, rule) => {
    const log = logged();
    const sessionVariables = serviceWith({ [name]: value });
    for (const [path, init] of [["/v1/chat/completions", json(message)] as const, ["/v1/sessions", {}] as const]) {
      const answer = await requestWith({ SESSION: sessionVariables }, path, {
        ...init,
        headers: { "content-type": "application/json", authorization: "Bearer k" },
      });
      expect(answer.status).toBe(500);
      const error = await failure(answer);
      expect(error).toMatchObject({ code: "configuration_invalid", type: "server_error", param: null });
      expect(error.message).toMatch(rule);
    }
    expect(log()).toContain(`"event":"configuration_invalid","cause":"${name} `);
    if (name === "STATE_KEYS") expect(log()).not.toContain(key);
  });

  test("takes defaults where nothing is set, and values at the ends of their ranges", () => {
    expect(streamSettings({ STREAM_GRACE_SECONDS: "" })).toEqual({ graceMilliseconds: 10_000, keepMilliseconds: 600_000 });
    expect(streamSettings({ STREAM_GRACE_SECONDS: "0", STREAM_KEEP_SECONDS: "0.5" })).toEqual({
      graceMilliseconds: 0,
      keepMilliseconds: 500,
    });
    expect(storeSettings({})).toEqual({ quotaBytes: 2 ** 30, hotMilliseconds: 3_600_000, cacheMilliseconds: 86_400_000 });
    expect(storeSettings({ TENANT_QUOTA_BYTES: "1" }).quotaBytes).toBe(1);
    expect([stateRecurrent({}), stateRecurrent({ STATE_RECURRENT: "bf16" })]).toEqual(["f32", "bf16"]);
  });
});

test("what is made of variables is made once for each of their values, and a wrong one is an error every time", () => {
  const make = vi.fn((variables: { readonly LEAST?: string | undefined }) => [
    wholeNumber(variables, "LEAST", "things", 1, { least: 0, most: 9 }),
  ]);
  const read = rememberedSettings(["LEAST"], make);
  expect(read({ LEAST: "3" })).toEqual([3]);
  expect(read({ LEAST: "3" })).toBe(read({ LEAST: "3" }));
  expect(make).toHaveBeenCalledTimes(1);
  for (let time = 0; time < 2; time++)
    expect(() => read({ LEAST: "10" })).toThrow(/^LEAST must be a whole number of things from 0 to 9; it is "10"/);
  expect(read({})).toEqual([1]);
});
