import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { violationsOf } from "./support/accessibility.ts";
import { ask, inputOf, waitForStatus } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage();

async function openSettings(): Promise<void> {
  await test.page.getByRole("button", { name: "Settings" }).click();
  await test.page.getByRole("dialog", { name: "Settings" }).waitFor();
}

async function fillSetting(label: string, value: string): Promise<void> {
  await test.page.getByRole("dialog").getByLabel(label, { exact: true }).fill(value);
}

describe("settings", () => {
  it("are sent as the API names them", async () => {
    const { page, api } = test;
    await openSettings();
    await fillSetting("System prompt", "Answer in French.");
    const typed = {
      Temperature: ["0.7", "temperature", 0.7],
      "Top p": ["0.8", "top_p", 0.8],
      "Top k": ["40", "top_k", 40],
      "Min p": ["0.05", "min_p", 0.05],
      "Repetition penalty": ["1.2", "repetition_penalty", 1.2],
      "Presence penalty": ["0.5", "presence_penalty", 0.5],
      "Frequency penalty": ["-0.5", "frequency_penalty", -0.5],
      "Max tokens": ["99", "max_tokens", 99],
      Seed: ["7", "seed", 7],
    } as const;
    for (const [label, [value]] of Object.entries(typed)) await fillSetting(label, value);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await ask(page, "Hello");
    expect(api.requests[0]).toMatchObject(Object.fromEntries(Object.values(typed).map(([, field, value]) => [field, value])));
    expect(api.requests[0]?.messages[0]).toEqual({ role: "system", content: "Answer in French." });
  });

  it("left empty are not sent, and survive a reload", async () => {
    const { page, api } = test;
    await openSettings();
    for (const label of ["Temperature", "Top p", "Repetition penalty", "Max tokens"]) await fillSetting(label, "");
    await fillSetting("Seed", "3");
    await page.keyboard.press("Escape");
    await page.reload();
    await ask(page, "Hello");
    expect(Object.keys(api.requests[0] ?? {}).sort()).toEqual(["messages", "model", "seed", "stream", "stream_options"]);
  });

  it("are brought into range and can be reset", async () => {
    const { page, api } = test;
    api.card = { defaults: { temperature: 0.2, top_p: 0.9 } };
    await page.reload();
    await page.locator('.model[data-status="ready"]').waitFor();
    await openSettings();
    await fillSetting("Temperature", "17");
    await page.keyboard.press("Tab");
    expect(await page.getByLabel("Temperature", { exact: true }).inputValue()).toBe("2");
    await page.getByRole("button", { name: "Reset to defaults" }).click();
    // Left to the model, whose own values are shown.
    for (const [label, value] of [
      ["Temperature", "0.2"],
      ["Top p", "0.9"],
      ["Top k", "default"],
    ] as const) {
      const field = page.getByLabel(label, { exact: true });
      expect([label, await field.inputValue(), await field.getAttribute("placeholder")]).toEqual([label, "", value]);
    }
    await page.getByRole("button", { name: "Close" }).click();
    await ask(page, "Hello");
    expect(api.requests[0]).toMatchObject({ repetition_penalty: 1.1, max_tokens: 512 });
    expect(Object.keys(api.requests[0] ?? {})).not.toEqual(expect.arrayContaining(["temperature"]));
    expect(Object.keys(api.requests[0] ?? {})).not.toEqual(expect.arrayContaining(["top_p"]));
  });

  it("are shown as they are as soon as they have changed", async () => {
    const { page } = test;
    await openSettings();
    await fillSetting("Temperature", "1.5");
    await page.keyboard.press("Tab");
    const field = page.getByLabel("Temperature", { exact: true });
    // Before the browser paints: what is seen in between would be taken for what is in force.
    const shown = await field.evaluate(async (input: HTMLInputElement) => {
      [...document.querySelectorAll("button")].find(({ textContent }) => textContent === "Reset to defaults")?.click();
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      return input.value;
    });
    expect(shown).toBe("");
    // What is no number goes when the field is left.
    await field.focus();
    await page.keyboard.type("-");
    await page.keyboard.press("Tab");
    expect(await field.evaluate((input: HTMLInputElement) => [input.value, input.validity.badInput])).toEqual(["", false]);
  });

  it("belong to the conversation they were made in", async () => {
    const { page, api } = test;
    await ask(page, "Old one");
    await page.getByRole("button", { name: "New chat" }).first().click();
    await openSettings();
    await fillSetting("Seed", "5");
    await page.keyboard.press("Escape");
    await ask(page, "New one");
    await page.locator("aside .row-title").getByText("Old one").click();
    await ask(page, "Again");
    expect(api.requests.map((request) => request["seed"])).toEqual([undefined, 5, undefined]);
  });
});

describe("appearance", () => {
  it("follows the system until the person chooses, and remembers the choice", async () => {
    const { page } = test;
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.emulateMedia({ colorScheme: "light" });
    const light = await background();
    await page.emulateMedia({ colorScheme: "dark" });
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.getByRole("button", { name: "Light" }).click();
    expect(await background()).toBe(light);
    await page.reload();
    expect(await background()).toBe(light);
    await page.getByRole("button", { name: "System", exact: true }).click();
    expect(await background()).toBe(dark);
    await page.emulateMedia({ colorScheme: "light" });
    await page.getByRole("button", { name: "Dark" }).click();
    expect(await background()).toBe(dark);
  });

  it("switches the language and remembers it", async () => {
    const { page } = test;
    await page.getByRole("button", { name: "中文" }).click();
    await page.getByRole("textbox", { name: "消息", exact: true }).waitFor();
    expect(await page.evaluate(() => document.documentElement.lang)).toBe("zh-Hans");
    await page.reload();
    await page.getByRole("heading", { name: "运行在网络边缘的小模型" }).waitFor();
    await page.getByRole("button", { name: "English" }).click();
    await inputOf(page).waitFor();
    expect(await page.evaluate(() => document.documentElement.lang)).toBe("en");
  });
});

describe("view code", () => {
  it("shows the current request for curl, JavaScript and Python, with this server's address", async () => {
    const { page, api } = test;
    await inputOf(page).fill("What's a spike?");
    await page.getByRole("button", { name: "View code" }).click();
    const dialog = page.getByRole("dialog");
    for (const [name, mark] of [
      ["curl", "curl -N"],
      ["JavaScript", 'import OpenAI from "openai"'],
      ["Python", "from openai import OpenAI"],
    ] as const) {
      await dialog.getByRole("button", { name, exact: true }).click();
      const code = await dialog.locator("pre").innerText();
      expect(code).toContain(mark);
      expect(code).toContain(`${api.url}/v1`);
      expect(code).toContain("a spike?");
      await dialog.getByRole("button", { name: /^(Copy|Copied)$/ }).click();
      await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toBe(`${code.trimEnd()}\n`);
    }
  });
});

describe("what is sent", () => {
  /** Runs what the panel shows, as it is. */
  async function runShown(): Promise<void> {
    const { page, api } = test;
    await page.getByRole("button", { name: "View code" }).click();
    const code = await page.getByRole("dialog").locator("pre").innerText();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    const [key] = api.keys;
    await promisify(execFile)("bash", ["-c", code], { env: { ...process.env, SPIKINGBRAIN_KEY: key ?? "", no_proxy: "*" } });
  }
  const compact = (json: string | undefined) => JSON.stringify(JSON.parse(json ?? "null"));

  it.each([
    ["kept in sessions", true],
    ["of a server without sessions", false],
  ])("is what “View code” shows, byte for byte: a conversation %s", async (_name, keepsSessions) => {
    const { page, api } = test;
    api.keepsSessions = keepsSessions;
    api.card = { state: { bytes: 14_000_000, constant: true, full_attention_bytes_per_token: 12_240 } };
    await page.reload();
    await page.locator('.model[data-status="ready"]').waitFor();
    await expect.poll(() => api.calls.length + Number(!keepsSessions)).toBeGreaterThan(0);
    await page.waitForLoadState("networkidle");
    await inputOf(page).fill("It's the “first” $HOME");
    await runShown();
    await inputOf(page).press("Enter");
    await expect.poll(() => api.rawRequests.length).toBe(2);
    const made = api.calls.filter(({ method, path }) => method === "POST" && path === "/v1/sessions").map(({ body }) => body);
    if (keepsSessions) {
      expect(made).toHaveLength(2);
      expect(made[0]).toEqual(made[1]);
    }
    expect(compact(api.rawRequests[0])).toBe(api.rawRequests[1]?.replace("sess_2", "sess_1"));
    await waitForStatus(page, "done");
    await inputOf(page).fill("Second");
    await runShown();
    await inputOf(page).press("Enter");
    await expect.poll(() => api.rawRequests.length).toBe(4);
    expect(compact(api.rawRequests[2])).toBe(api.rawRequests[3]);
    expect(api.requests[3]?.messages).toHaveLength(keepsSessions ? 1 : 3);
  });
});

describe("the switch for this device", () => {
  it("says what it downloads, loads nothing before, and where that fails says why and leaves the server to answer", async () => {
    const { page, api } = test;
    const loaded: string[] = [];
    page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
    await openSettings();
    const toggle = page.getByRole("switch", { name: "Run on this device" });
    // This server gives nothing away.
    expect(await toggle.isDisabled()).toBe(true);
    api.card = { download: { bytes: 101_000_000 } };
    await page.reload();
    await page.locator('.model[data-status="ready"]').waitFor();
    await openSettings();
    expect(await page.locator(".device .hint").innerText()).toMatch(/^Downloads 101 MB once/);
    expect(loaded.filter((path) => /device|client|engine|weights/.test(path))).toEqual([]);
    expect(await violationsOf(page)).toEqual([]);
    let release: () => void = () => undefined;
    const looked = new Promise<void>((resolve) => (release = resolve));
    await page.route("**/models.json", async (route) => {
      await looked;
      await route.continue();
    });
    await toggle.check();
    await page.getByRole("dialog").getByRole("progressbar", { name: "The model on this device" }).waitFor();
    expect(await violationsOf(page)).toEqual([]);
    release();
    // There is no index of models here.
    const alert = page.getByRole("dialog").getByRole("alert");
    await alert.waitFor();
    expect(await alert.innerText()).toContain("The model on this device failed");
    expect(await alert.innerText()).toContain("/models.json is missing");
    expect(await violationsOf(page)).toEqual([]);
    expect(api.unknownPaths.splice(0)).toEqual(["/models.json"]);
    expect(loaded.filter((path) => path.includes("device-worker"))).toHaveLength(1);
    expect(await toggle.isChecked()).toBe(false);
    await page.keyboard.press("Escape");
    await ask(page, "Hello");
    expect(api.requests).toHaveLength(1);
    await page.reload();
    await openSettings();
    expect(await toggle.isChecked()).toBe(false);
  });
});
