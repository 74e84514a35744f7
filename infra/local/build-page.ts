import { existsSync } from "node:fs";
import { nameOf, withLock } from "./lock.mjs";
import { inRepository } from "./paths.ts";
import { run } from "./run.ts";

/** Builds the try-it page into dist/gateway. */
export async function buildPage(): Promise<void> {
  const script = inRepository("workers/page/build.mjs");
  if (!existsSync(script)) throw new Error(`${script} is missing; the checkout is not complete.`);
  const { status } = await withLock(`page-${nameOf(script)}`, "building the page", () => run(process.execPath, [script]));
  if (status !== 0) throw new Error("The page could not be built; the messages above say why.");
}
