import { existsSync } from "node:fs";
import { nameOf, withLock } from "./lock.mjs";
import { inRepository } from "./paths.ts";
import { run } from "./run.ts";

/** Builds the web page into `output`. */
export async function buildWebPage(output = inRepository("dist/gateway")): Promise<void> {
  const script = inRepository("workers/page/build.mjs");
  if (!existsSync(script)) throw new Error(`${script} is missing; the checkout is not complete.`);
  const { status } = await withLock(`web-page-${nameOf(script)}`, "building the web page", () =>
    run(process.execPath, [script, "--out", output]),
  );
  if (status !== 0) throw new Error("The web page could not be built; the messages above say why.");
}
