/** The page without a network: it opens, what was said can be read, and a new deployment is never hidden by what is kept. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildPage } from "../../workers/page/build.mjs";
import { ask, inputOf, textOf, waitForText } from "./support/chat-page.ts";
import { startFakeApi, type FakeApi } from "./support/fake-api.ts";
import { launchBrowser } from "../support/browser.ts";
import { watch } from "./support/page-test.ts";

let directory: string;
let api: FakeApi;
let browser: Browser;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "page-offline-"));
  api = await startFakeApi(directory);
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  await api.close();
  await rm(directory, { recursive: true });
});
beforeEach(async () => {
  await buildPage({ outDir: directory });
  api.reset();
  complaints.length = 0;
  page = await (await browser.newContext({ locale: "en-US" })).newPage();
  watch(page, api.url, complaints, []);
  await page.goto(api.url);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  return () => page.context().close();
});

describe("without a network", () => {
  it("the page opens with its conversations, says so, and sends nothing", async () => {
    await ask(page, "Remember this");
    api.replies.push({ kind: "stream", deltas: ["```python\nx = 1\n```"] });
    await ask(page, "And code");
    await page.locator(".hljs-number").waitFor();
    await page.reload();
    await waitForText(page, "x = 1");
    await page.context().setOffline(true);
    await page.reload();
    await page.getByText("You are offline. Your conversations are still here.").waitFor();
    expect(await textOf(page)).toContain("x = 1");
    // What coloured the code was kept when it was first fetched.
    await page.locator(".hljs-number").waitFor();
    expect(await page.getByText("Hello, world.").count()).toBe(1);
    await inputOf(page).fill("Later");
    expect(await page.getByRole("button", { name: "Send" }).isDisabled()).toBe(true);
    await page.getByText("You are offline: messages can be sent once the network is back.").waitFor();
    await page.context().setOffline(false);
    await page.getByText("You are offline").first().waitFor({ state: "detached" });
    await page.locator('.model[data-status="ready"]').waitFor();
    await ask(page, "Later");
    expect(api.requests.at(-1)?.messages.map(({ content }) => content)).toEqual([
      "Remember this",
      "Hello, world.",
      "And code",
      "```python\nx = 1\n```",
      "Later",
    ]);
    expect(complaints).toEqual([]);
  });

  it("nothing of the API is kept", async () => {
    await ask(page, "Secret");
    const kept = await page.evaluate(async () => {
      const requests = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
      return requests.flat().map(({ url }) => new URL(url).pathname);
    });
    expect(kept).toContain("/");
    expect(kept.filter((path) => path !== "/" && !path.startsWith("/assets/"))).toEqual([]);
  });
});

describe("a new deployment", () => {
  it("is what the next visit shows, with and without a network, and the old one's files go", async () => {
    const old = await page.evaluate(() => caches.keys());
    expect(old).toHaveLength(1);
    // What a deployment changes: the document, and with it the worker's bytes.
    for (const [name, from, to] of [
      ["index.html", "<title>SpikingBrain</title>", '<title>SpikingBrain</title><meta name="deployment" content="2">'],
      ["sw.js", /"[0-9a-f]{16}"/, '"0123456789abcdef"'],
    ] as const) {
      const path = join(directory, name);
      const before = await readFile(path, "utf8");
      await writeFile(path, before.replace(from, to));
      expect(await readFile(path, "utf8")).not.toBe(before);
    }
    await page.reload();
    expect(await page.locator('meta[name="deployment"]').count()).toBe(1);
    await expect.poll(() => page.evaluate(() => caches.keys())).toEqual(["page-0123456789abcdef"]);
    await page.context().setOffline(true);
    await page.reload();
    await inputOf(page).waitFor();
    expect(await page.locator('meta[name="deployment"]').count()).toBe(1);
    expect(complaints).toEqual([]);
  });

  it("that is broken for a moment leaves the page that is kept", async () => {
    const index = join(directory, "index.html");
    const document = await readFile(index);
    await rm(index);
    await page.reload();
    await inputOf(page).waitFor();
    await writeFile(index, document);
    expect(api.unknownPaths).toEqual(["/"]);
  });
});
