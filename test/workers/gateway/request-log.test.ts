/** The log's line about a request names the route that answered it. */
import { afterEach, expect, test, vi } from "vitest";
import { request } from "../support/gateway-client.ts";
import { spyOnLog } from "../support/log-spy.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test.each([
  ["POST", "/v1/sessions/import", "/v1/sessions/import"],
  ["PUT", "/v1/sessions/import", "/v1/sessions/import"],
  ["GET", "/v1/sessions/sess_0", "/v1/sessions/:id"],
  ["HEAD", "/v1/models/a/b", "/v1/models/:id{.+}"],
  ["GET", "/v1/nothing", "/v1/*"],
  ["GET", "/nothing", "/*"],
])("%s %s is %s", async (method, path, route) => {
  const lines = spyOnLog();
  await request(path, { method });
  const found = lines.map((line) => JSON.parse(line) as { event: string; route?: string }).filter(({ event }) => event === "request");
  expect(found.map((line) => line.route)).toEqual([route]);
});
