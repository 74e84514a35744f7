import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inRepository } from "../../../infra/local/paths.ts";
import { edited } from "../../../infra/local/wrangler-shut.ts";

const wrangler = inRepository("node_modules/wrangler/wrangler-dist/cli.js");
const miniflare = inRepository("node_modules/miniflare/dist/src/index.js");

test("every edit fits the pinned wrangler and miniflare", () => {
  const program = edited(wrangler, readFileSync(wrangler, "utf8"));
  expect(program).toContain("inspector: false,");
  expect(program).not.toContain("unsafeTriggerHandlers: true");
  expect(program).not.toContain("unsafeInspectDurableObjects: true");
  expect(program).not.toContain("getRegistryPath(),");
  expect(edited(miniflare, readFileSync(miniflare, "utf8"))).toContain("guardedEntry as default");
});

test("an edit that does not fit is an error that names it, and other files stay as they are", () => {
  expect(() => edited(wrangler, "unsafeTriggerHandlers: true")).toThrow(`${wrangler}: the inspector must be in one place; it is in 0.`);
  expect(edited(inRepository("package.json"), "text")).toBe("text");
});
