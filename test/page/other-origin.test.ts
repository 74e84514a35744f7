/** A page of another origin, in Chromium, on the real stack: `CORS_ORIGINS` lets it in, and no other. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { buildWebPage } from "../../infra/local/build-web-page.ts";
import { prepareModel } from "../../infra/local/models/prepare-model.ts";
import { inRepository } from "../../infra/local/paths.ts";
import { startStack, type Stack } from "../../infra/local/stack.ts";
import { gatewayVariables } from "../../infra/local/variables.ts";
import type { OtherSite } from "./support/other-site.ts";
import { launchBrowser } from "../support/browser.ts";
import { freePort } from "../../infra/local/free-port.ts";

declare const otherSite: OtherSite;

const startTimeoutMs = 240_000;

let request: { readonly model: string; readonly messages: { readonly role: "user"; readonly content: string }[] };
let stack: Stack | null = null;
let browser: Browser | null = null;
let named: Server;
let unnamed: Server;

const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

beforeAll(async () => {
  const { id } = await prepareModel();
  request = { model: id, messages: [{ role: "user", content: "Say hello." }], ...{ temperature: 0, max_tokens: 8 } };
  await buildWebPage();
  const bundle = await build({
    entryPoints: [inRepository("test/page/support/other-site.ts")],
    ...{ bundle: true, write: false, format: "iife", platform: "browser" },
  });
  const script = bundle.outputFiles[0]?.text ?? "";
  [named, unnamed] = [await serve(script), await serve(script)];
  const { variables } = gatewayVariables({ CORS_ORIGINS: originOf(named) });
  stack = await startStack({ port: await freePort(), variables, onOutput: (text) => process.stderr.write(text) });
  await stack.untilReady(startTimeoutMs);
  browser = await launchBrowser();
}, startTimeoutMs);
afterAll(async () => {
  await browser?.close();
  await stack?.stop();
  named.close();
  unnamed.close();
}, startTimeoutMs);

it("works with fetch, EventSource and the OpenAI SDK", async () => {
  const page = await open(named);
  const input = [stack?.url ?? "", request] as const;
  const fetched = await page.evaluate(([api, body]) => otherSite.readWithFetch(api, body), input);
  expect(fetched.text).not.toBe("");
  expect(fetched.cache).toMatch(/^(hit|miss); /);

  const stream = [stack?.url ?? "", fetched.stream ?? ""] as const;
  expect(await page.evaluate(([api, id]) => otherSite.readWithEventSource(api, id), stream)).toBe(fetched.text);

  const { data } = (await (await fetch(`${stack?.url ?? ""}/v1/models`)).json()) as { readonly data: readonly { readonly id: string }[] };
  const models = data.map(({ id }) => id);
  expect(models[0]).toBe(request.model);
  expect(await page.evaluate(([api, body]) => otherSite.readWithSdk(api, body), input)).toEqual({
    whole: fetched.text,
    streamed: fetched.text,
    models,
    refusal: { status: 404, code: "model_not_found" },
  });
});

it("is kept out where its origin is not named", async () => {
  const page = await open(unnamed);
  const input = [stack?.url ?? "", request] as const;
  await expect(page.evaluate(([api, body]) => otherSite.readWithFetch(api, body), input)).rejects.toThrow("Failed to fetch");
  await expect(page.evaluate(([api, body]) => otherSite.readWithSdk(api, body), input)).rejects.toThrow("Connection error");
});

async function open(site: Server): Promise<Page> {
  const page = await browser?.newPage();
  if (page === undefined) throw new Error("There is no browser.");
  onTestFinished(() => page.close());
  await page.goto(originOf(site));
  return page;
}

async function serve(script: string): Promise<Server> {
  const server = createServer(({ url }, response) => {
    const isScript = url === "/script.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : '<!doctype html><title>Another site</title><script src="/script.js"></script>');
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}
