import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { buildWebPage } from "../../infra/local/build-web-page.ts";
import { prepareModel } from "../../infra/local/models/prepare-model.ts";
import { startStack, type Stack } from "../../infra/local/stack.ts";
import { violationsOf } from "./support/accessibility.ts";
import { answersOf, ask, inputOf, lastAnswer, send, textOf, waitForStatus } from "./support/chat-page.ts";
import { launchBrowser } from "../support/browser.ts";
import { watch } from "./support/page-test.ts";
import { freePort } from "../../infra/local/free-port.ts";

const startTimeoutMs = 240_000;
/** A busy machine may take this long to load the model and say a few words. */
const answerTimeoutMs = 90_000;

let stack: Stack | null = null;
let url: string;
let modelId: string;
let browser: Browser;
let page: Page;
const complaints: string[] = [];
const foreignRequests: string[] = [];

beforeAll(async () => {
  modelId = (await prepareModel()).id;
  const running = process.env["SPIKINGBRAIN_URL"] ?? "";
  if (running === "") {
    await buildWebPage();
    stack = await startStack({ port: await freePort(), onOutput: (text) => process.stderr.write(text) });
    await stack.untilReady(startTimeoutMs);
  }
  url = stack?.url ?? running;
  browser = await launchBrowser();
}, startTimeoutMs);
afterAll(async () => {
  await browser.close();
  await stack?.stop();
}, startTimeoutMs);

beforeEach(async () => {
  complaints.length = 0;
  foreignRequests.length = 0;
  const context = await browser.newContext({ locale: "en-US" });
  page = await context.newPage();
  page.setDefaultTimeout(answerTimeoutMs);
  watch(page, url, complaints, foreignRequests);
  await page.goto(url);
  await inputOf(page).waitFor();
});
afterEach(async () => {
  await page.context().close();
  expect({ complaints, foreignRequests }).toEqual({ complaints: [], foreignRequests: [] });
});

describe("the page on the real stack", () => {
  it("is served under its policy and names the model", async () => {
    const response = await fetch(url);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(response.headers.get("cross-origin-opener-policy")).toBe("same-origin");
    await page.locator(".model").getByText(modelId).waitFor();
  });

  it("is beside the API's reference, which has the page's colours and can be used without seeing it", async () => {
    await page.goto(`${url}/reference`);
    const colour = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    expect(await colour()).toBe("rgb(252, 252, 250)");
    await page.emulateMedia({ colorScheme: "dark" });
    expect(await colour()).toBe("rgb(22, 23, 21)");
    await page.getByRole("link", { name: "ChatCompletionRequest" }).first().click();
    const shape = page.locator("#ChatCompletionRequest");
    await shape.getByText("response_format").waitFor();
    await shape.locator("summary").first().click();
    const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
    expect(violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
    await page.setViewportSize({ width: 390, height: 844 });
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
  });

  it("chats, with exact counts, and remembers it after a reload", async () => {
    await setNumber("Temperature", "0");
    await setNumber("Max tokens", "24");
    await ask(page, "What is the capital of France?");
    const text = await lastAnswer(page).locator(".markdown").innerText();
    expect(text).toContain("Paris");
    const speed = await lastAnswer(page).locator(".speed").innerText();
    expect(speed).toMatch(/[\d.]+ s to first token/);
    expect(speed).toMatch(/[\d.]+ tokens\/s/);
    expect(speed).not.toContain("≈");
    expect(await lastAnswer(page).locator(".placement li").allInnerTexts()).toEqual(["ran in the edge’s own engine"]);
    await page.getByText(/^[\d,]+ tokens, no limit$/).waitFor();
    await page.getByRole("img", { name: /^The model’s state takes [\d.]+ MB now, and [\d.]+ MB at the most/ }).waitFor();
    await page.reload();
    await waitForStatus(page, "done");
    expect(await lastAnswer(page).locator(".markdown").innerText()).toBe(text);
    expect(await lastAnswer(page).locator(".placement li").allInnerTexts()).toEqual(["ran in the edge’s own engine"]);
  });

  it("stops an answer and answers the next message", async () => {
    await setNumber("Max tokens", "900");
    await send(page, "Write a very long story about a river.");
    await waitForStatus(page, "streaming");
    await page.keyboard.press("Escape");
    await waitForStatus(page, "stopped");
    await setNumber("Max tokens", "8");
    await ask(page, "Thank you.");
  });

  it("remembers at the edge: a reload during an answer goes on, the next turn reads only itself, and a fork goes its own way", async () => {
    await setNumber("Temperature", "0");
    await setNumber("Max tokens", "200");
    // Long enough that it still runs when the page comes back, on a fast machine too.
    await send(page, "Write a very long story about a river.");
    await waitForStatus(page, "streaming");
    await page.reload();
    await waitForStatus(page, "done");
    const resumed = await textOf(page);
    expect(await lastAnswer(page).locator(".speed").innerText()).toContain("continued after a break");
    await page.getByText("· kept at the edge").waitFor();
    await page.getByRole("button", { name: "Regenerate" }).click();
    await expect.poll(() => lastAnswer(page).getAttribute("data-status")).not.toBe("done");
    await waitForStatus(page, "done");
    expect(await textOf(page)).toBe(resumed);
    await setNumber("Max tokens", "8");
    await ask(page, "Thank you.");
    expect(await lastAnswer(page).locator(".speed").innerText()).toMatch(/remembered [\d,]+ tokens, read \d+ new/);
    await answersOf(page).first().getByRole("button", { name: "Fork from here" }).click();
    await expect.poll(() => answersOf(page).count()).toBe(1);
    await ask(page, "Good bye.");
    expect(await lastAnswer(page).locator(".speed").innerText()).toMatch(/remembered [\d,]+ tokens, read \d+ new/);
    expect(await page.locator("aside .row-title").count()).toBe(2);
  });

  it("reads a document once and answers about it", async () => {
    const text = `The harbour master is called Ottilie. ${"The sea was calm that day. ".repeat(50)}`;
    await page.getByRole("button", { name: "Documents" }).click();
    const file = { name: "harbour.txt", mimeType: "text/plain", buffer: Buffer.from(text) };
    await page.getByLabel("Choose a text file").setInputFiles(file);
    await page.getByText(/^Read: [\d,]+ tokens$/).waitFor();
    await page.getByRole("button", { name: "Ask about it" }).click();
    await setNumber("Max tokens", "8");
    await ask(page, "Who is the harbour master?");
    expect(await lastAnswer(page).locator(".speed").innerText()).toMatch(/remembered \d{3} tokens, read \d\d? new/);
  });

  it("runs the model on this device: the server's tokens, its state there and back, and without a network", async () => {
    await setNumber("Temperature", "0.9");
    await setNumber("Seed", "7");
    await setNumber("Max tokens", "12");
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    const asked = ["What is the capital of France?", "And of Italy?", "Thank you."] as const;
    await ask(page, asked[0]);
    const answers = [await textOf(page)];
    // The model comes once, and only now.
    expect(foreignRequests).toEqual([]);
    const weights: string[] = [];
    page.on("request", (request) => {
      if (new URL(request.url()).pathname.startsWith("/weights/")) weights.push(request.url());
    });
    await page.getByRole("button", { name: "Settings" }).click();
    expect(await page.locator(".device .hint").first().innerText()).toMatch(/^Downloads \d+ MB once/);
    await page.getByRole("switch", { name: "Run on this device" }).check();
    await page.getByText("The model is on this device and answers").waitFor();
    // The page is isolated, so that its threads can share memory.
    const [isolated, cores] = await page.evaluate(() => [crossOriginIsolated, navigator.hardwareConcurrency] as const);
    expect(isolated).toBe(true);
    const over = cores === 1 ? "" : `, over ${Math.min(4, cores)} threads`;
    expect(await page.locator(".device [role=status]").innerText()).toBe(`The model is on this device and answers${over}.`);
    expect(await violationsOf(page)).toEqual([]);
    await page.keyboard.press("Escape");
    expect(weights.length).toBeGreaterThan(0);
    expect(new Set(weights).size).toBe(weights.length);
    await ask(page, asked[1]);
    answers.push(await textOf(page));
    expect(await lastAnswer(page).locator(".placement li").allInnerTexts()).toEqual(["computed on this device"]);
    await page.getByText("· kept on this device").waitFor();
    // What the server had read was not read again.
    expect(await lastAnswer(page).locator(".speed").innerText()).toMatch(/remembered [\d,]+ tokens, read \d+ new/);

    weights.length = 0;
    await page.context().setOffline(true);
    await page.reload();
    await page.getByText("You are offline. Answers are computed on this device.").waitFor();
    await setNumber("Temperature", "0");
    await ask(page, asked[2]);
    answers.push(await textOf(page));
    expect(await lastAnswer(page).locator(".speed").innerText()).toMatch(/remembered [\d,]+ tokens, read \d+ new/);
    expect(weights).toEqual([]);
    await page.context().setOffline(false);

    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByRole("switch", { name: "Run on this device" }).uncheck();
    await page.keyboard.press("Escape");
    await ask(page, "Good bye.");
    expect(await lastAnswer(page).locator(".placement li").allInnerTexts()).toEqual(["ran in the edge’s own engine"]);
    expect(await lastAnswer(page).locator(".speed").innerText()).toMatch(/remembered [\d,]+ tokens, read \d+ new/);
    expect(await page.locator("aside .row-title").count()).toBe(1);
    // Nothing of it stays here, the model neither where nobody wants it any more.
    const remembered = () =>
      page.evaluate(
        () =>
          new Promise<number>((resolve, reject) => {
            const opening = indexedDB.open("spikingbrain-device");
            opening.onerror = () => reject(new Error("the database cannot be opened"));
            opening.onsuccess = () => {
              const counting = opening.result.transaction("conversations").objectStore("conversations").count();
              counting.onsuccess = () => resolve(counting.result);
              opening.result.close();
            };
          }),
      );
    expect(await remembered()).toBe(0);
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByRole("button", { name: "Delete the model from this device" }).click();
    await page.getByRole("button", { name: "Delete the model from this device" }).waitFor({ state: "detached" });
    expect(await page.evaluate(() => caches.has("device-model"))).toBe(false);
    await page.keyboard.press("Escape");

    // The same by the server alone: seeded and greedy.
    await page.getByRole("button", { name: "New chat" }).first().click();
    await setNumber("Temperature", "0.9");
    const served: string[] = [];
    for (const [at, question] of asked.entries()) {
      if (at === 2) await setNumber("Temperature", "0");
      await ask(page, question);
      served.push(await textOf(page));
    }
    expect(served).toEqual(answers);
  });

  it("computes with one thread on this device where the page is not isolated", async () => {
    const context = await browser.newContext({ locale: "en-US", serviceWorkers: "block" });
    try {
      page = await context.newPage();
      page.setDefaultTimeout(answerTimeoutMs);
      watch(page, url, complaints, foreignRequests);
      const isolating = new Set(["cross-origin-opener-policy", "cross-origin-embedder-policy"]);
      await page.route(`${url}/`, async (route) => {
        const response = await route.fetch();
        const headers = Object.entries(response.headers()).filter(([name]) => !isolating.has(name));
        await route.fulfill({ response, headers: Object.fromEntries(headers) });
      });
      await page.goto(url);
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
      await setNumber("Temperature", "0");
      await setNumber("Max tokens", "6");
      await ask(page, "What is the capital of France?");
      const served = await textOf(page);
      await page.getByRole("button", { name: "Settings" }).click();
      await page.getByRole("switch", { name: "Run on this device" }).check();
      await page.getByText("The model is on this device and answers.").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "New chat" }).first().click();
      await ask(page, "What is the capital of France?");
      expect(await lastAnswer(page).locator(".placement li").allInnerTexts()).toEqual(["computed on this device"]);
      expect(await textOf(page)).toBe(served);
    } finally {
      await context.close();
    }
  });

  it("shows the server's reason when a message is too long, with advice", async () => {
    await send(page, "word ".repeat(140_000));
    await waitForStatus(page, "failed");
    const alert = await page.getByRole("alert").innerText();
    expect(alert).toContain("too long for this model");
    expect(alert).toContain("HTTP 400");
    expect(alert).toContain("Start a new chat");
  });
});

async function setNumber(label: string, value: string): Promise<void> {
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("dialog").getByLabel(label, { exact: true }).fill(value);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
}
