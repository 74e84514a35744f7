import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { buildPage } from "../../../workers/page/build.mjs";
import { launchBrowser } from "../../support/browser.ts";
import { startFakeApi, type FakeApi } from "./fake-api.ts";

/** What a test works with; valid inside a test only. */
export interface PageTest {
  readonly api: FakeApi;
  readonly page: Page;
  readonly context: BrowserContext;
  /** Whatever the browser complained about: violations of the policy, exceptions, failed loads. Each test must leave it empty. */
  readonly complaints: string[];
  /** Requests to anywhere but the server under test. */
  readonly foreignRequests: string[];
}

/** Complaints that a test provokes on purpose: the browser logs every failed request. */
const expectedComplaint = /Failed to load resource|net::ERR_/;

/**
 * Builds the page, serves it beside a fake API and opens a fresh browser profile for each test of the file. Without the page's service worker: once
 * it has claimed the page, what the page asks for passes by Playwright's routes, so that a test which answers a request by one would depend on the
 * moment of the claim. `offline.test.ts` has a context of its own with it.
 */
export function usePage({
  keepsSessions = false,
  ...options
}: BrowserContextOptions & { readonly keepsSessions?: boolean } = {}): PageTest {
  let directory: string;
  let browser: Browser;
  let api: FakeApi;
  let context: BrowserContext;
  let page: Page;
  const complaints: string[] = [];
  const foreignRequests: string[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "page-"));
    await buildPage({ outDir: directory });
    api = await startFakeApi(directory);
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await api.close();
    await rm(directory, { recursive: true });
  });

  beforeEach(async () => {
    api.reset();
    api.keepsSessions = keepsSessions;
    complaints.length = 0;
    foreignRequests.length = 0;
    context = await browser.newContext({ viewport: { width: 1200, height: 800 }, locale: "en-US", serviceWorkers: "block", ...options });
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    page = await context.newPage();
    watch(page, api.url, complaints, foreignRequests);
    await page.goto(api.url);
    await page.getByRole("textbox", { name: /^(Message|消息)$/ }).waitFor();
  });
  afterEach(async () => {
    await context.close();
    expect(complaints).toEqual([]);
    expect(foreignRequests).toEqual([]);
    expect(api.unknownPaths).toEqual([]);
  });

  return {
    get api() {
      return api;
    },
    get page() {
      return page;
    },
    get context() {
      return context;
    },
    complaints,
    foreignRequests,
  };
}

/** Collects what a page must not do: complain, open dialogs, ask other hosts. */
export function watch(page: Page, origin: string, complaints: string[], foreignRequests: string[]): void {
  page.on("console", (message) => {
    if (message.type() === "error" && !expectedComplaint.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith("blob:") && !url.startsWith("data:")) foreignRequests.push(url);
  });
}
