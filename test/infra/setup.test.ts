import { setImmediate as nextIteration } from "node:timers/promises";
import { expect, it } from "vitest";
import { setUpAll } from "../runner/setup.ts";
import type { Requirement } from "../runner/suites.ts";

const all: readonly Requirement[] = ["model", "web page", "python", "torch", "parity", "vllm", "clients", "rust", "chromium"];

it("sets up each requirement once, in its row; what can't be set up keeps nothing else from it", async () => {
  const events: string[] = [];
  const broken = await setUpAll(new Set(all), async (requirement) => {
    events.push(`${requirement} begins`);
    await nextIteration();
    events.push(`${requirement} ends`);
    if (requirement === "python") throw new Error("no network");
  });
  expect([...events].sort()).toEqual(all.flatMap((one) => [`${one} begins`, `${one} ends`]).sort());
  // One environment, and beside it another.
  const at = (event: string) => events.indexOf(event);
  expect(at("torch begins")).toBeGreaterThan(at("python ends"));
  expect(at("parity begins")).toBeGreaterThan(at("torch ends"));
  expect(at("vllm begins")).toBeLessThan(at("python ends"));
  expect([...broken]).toEqual([["python", "no network"]]);
});

it("sets up nothing else than what is wanted", async () => {
  const done: Requirement[] = [];
  await setUpAll(new Set<Requirement>(["rust", "model"]), (requirement) => {
    done.push(requirement);
    return Promise.resolve();
  });
  expect(done.sort()).toEqual(["model", "rust"]);
});
