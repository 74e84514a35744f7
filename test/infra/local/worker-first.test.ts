/** Requests of the API go past the Workers by which wrangler serves static assets; nothing else does, and no client says which do. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guarded } from "../../../infra/local/entry-guard.mjs";
import { inRepository } from "../../../infra/local/paths.ts";
import { workerFirst } from "../../../infra/local/worker-first.ts";

const first = { worker: "own", paths: ["/v1/*", "/ready"] };
const routes = { MINIFLARE_USER_ROUTE_own: {} };

/** Where the entry is told to hand a request on. */
async function routeOf(path: string, env: Record<string, unknown> = routes, headers: Record<string, string> = {}): Promise<string | null> {
  const entry = { fetch: (request: Request) => Promise.resolve(Response.json(request.headers.get("mf-route-override"))) };
  const guard = guarded(entry, { anyHost: false, startId: "", first });
  const response = await guard.fetch(new Request(`http://127.0.0.1${path}`, { headers }), env, {});
  return (await response.json()) as string | null;
}

test.each([
  ["/v1/models", "own"],
  ["/ready", "own"],
  ["/", null],
  ["/v1", null],
  ["/ready/more", null],
  ["/assets/v1/models", null],
])("a request for %s goes to %s", async (path, route) => {
  expect(await routeOf(path)).toBe(route);
});

test("not where that Worker is not behind this entry, nor to one that the client names", async () => {
  expect(await routeOf("/v1/models", {})).toBeNull();
  expect(await routeOf("/", routes, { "mf-route-override": "own" })).toBeNull();
  expect(await routeOf("/v1/models", routes, { "mf-route-override": "other" })).toBe("own");
});

test("the paths are those of the Worker's own configuration", () => {
  expect(workerFirst(inRepository("wrangler.toml"))).toMatchObject({
    worker: "spikingbrain-gateway",
    paths: expect.arrayContaining(["/v1/*"]) as string[],
  });
  expect(workerFirst(inRepository("test/bench/worker/floor.toml"))).toBeNull();
  const path = join(mkdtempSync(join(tmpdir(), "worker-first-")), "wrangler.toml");
  writeFileSync(path, 'name = "other"\n\n[assets]\nrun_worker_first = ["/*", "!/page/*"]\n');
  expect(() => workerFirst(path)).toThrow('it holds "!/page/*"');
});
