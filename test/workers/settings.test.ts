/** Every variable of gateway and session with values that break its rule: named in the answer and in the log, and never replaced by a default. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { apiKeys, gatewaySettings } from "../../workers/gateway/settings.ts";
import { failure, requestWith, type Variables } from "./support/gateway-client.ts";

const KEEP_ALIVE = /^KEEP_ALIVE_SECONDS must be a number of seconds from 0\.01 to 3600, with at most three decimals; it is /;
const ORIGINS = /^CORS_ORIGINS must be origins, each SCHEME:\/\/HOST or SCHEME:\/\/HOST:PORT .*separated by commas; it is /;
const KEYS = /^API_KEYS must be keys, .*separated by commas; its value, which is secret, is not\.$/;

const HUGE = "9".repeat(400);
const ODD = ["NaN", " ", "-1", "1e9", "abc", "Infinity", "0x10", "1,5", "１", HUGE];

/** Each of them breaks the rule of its variable. */
const GATEWAY: Record<string, { readonly rule: RegExp; readonly values: readonly string[] }> = {
  KEEP_ALIVE_SECONDS: { rule: KEEP_ALIVE, values: [...ODD, "0", "1.2345", "3601"] },
  CORS_ORIGINS: { rule: ORIGINS, values: [...ODD, ",", "*", "https://one.test/", "https://one.test,", "HTTPS://one.test", "one.test"] },
  API_KEYS: { rule: KEYS, values: [" ", ",", ", ,", "sk-1,", ",sk-1", "sk-1,,sk-2", "sk 1", "\t"] },
};

const cases = (table: typeof GATEWAY) =>
  Object.entries(table).flatMap(([name, { rule, values }]) => values.map((value) => [name, value, rule] as const));

afterEach(() => {
  vi.restoreAllMocks();
});

const logged = () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  return () => log.mock.calls.flat().join("\n");
};

describe("the gateway", () => {
  test.each(cases(GATEWAY))("refuses %s=%j", async (name, value, rule) => {
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
