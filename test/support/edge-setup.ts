/** One stack for all edge tests: model and page in place, all Workers under `wrangler dev` on a free port. */
import type { TestProject } from "vitest/node";
import { prepareModel } from "../../infra/local/models/prepare-model.ts";
import { buildWebPage } from "../../infra/local/build-web-page.ts";
import { startStack } from "../../infra/local/stack.ts";
import { freePort } from "../../infra/local/free-port.ts";

const readyTimeoutMilliseconds = 180_000;

declare module "vitest" {
  export interface ProvidedContext {
    stackUrl: string;
    modelId: string;
  }
}

/** `SPIKINGBRAIN_URL` points the tests at a stack that already runs. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { id } = await prepareModel(undefined, { all: true });
  project.provide("modelId", id);
  const running = process.env.SPIKINGBRAIN_URL;
  if (running !== undefined && running !== "") {
    project.provide("stackUrl", running);
    return () => Promise.resolve();
  }
  await buildWebPage();
  const stack = await startStack({ port: await freePort(), onOutput: (text) => process.stderr.write(text) });
  try {
    await stack.untilReady(readyTimeoutMilliseconds);
  } catch (error) {
    await stack.stop();
    throw error;
  }
  project.provide("stackUrl", stack.url);
  return () => stack.stop();
}
