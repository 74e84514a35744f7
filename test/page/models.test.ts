/** The choice of a model: what can answer can be chosen, what can't says why, and a conversation keeps the one it began with. */
import { AxeBuilder } from "@axe-core/playwright";
import { beforeEach, describe, expect, it } from "vitest";
import { ask } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage({ keepsSessions: true });
const large = {
  id: "spikingbrain-7b",
  max_model_len: 4096,
  status: "ready",
  reason: null,
  form: { summary: "linear attention in 14 layers" },
  ...{ runs_on: ["pool"], parameters: 7_600_000_000 },
};
const away = {
  id: "spikingbrain-76b",
  max_model_len: 4096,
  status: "unavailable",
  reason: "no backend serves it. `npm run pool` starts replicas",
};

async function serve(...models: readonly { readonly id: string }[]): Promise<void> {
  const { page, api } = test;
  api.otherModels = models;
  await page.reload();
  await page.locator('.model[data-status="ready"]').waitFor();
}

async function openModels(): Promise<void> {
  await test.page.getByRole("button", { name: /^Model: / }).click();
  await test.page.getByRole("dialog", { name: "Models" }).waitFor();
}

async function choose(id: string): Promise<void> {
  await openModels();
  await test.page.getByRole("radio", { name: id }).check();
  await test.page.getByRole("button", { name: "Close" }).click();
}

const chosen = () => test.page.locator(".model").innerText();
const asked = () => test.api.requests.map(({ model }) => model);

describe("several models", () => {
  beforeEach(() => serve(large, away));

  it("are listed, and those that can't answer say why", async () => {
    const { page } = test;
    await openModels();
    const radio = page.getByRole("radio", { name: /^spikingbrain-76b/ });
    expect(await radio.isDisabled()).toBe(true);
    const hint = await page.locator(`#${(await radio.getAttribute("aria-describedby")) ?? ""}`).innerText();
    expect(hint).toBe("no backend serves it. `npm run pool` starts replicas");
    expect(await page.getByRole("radio", { name: /^spikingbrain-135m/ }).isChecked()).toBe(true);
    await page.getByText("linear attention in 14 layers").waitFor();
    const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`)).toEqual([]);
  });

  it("answer as they are chosen, and the choice is there after a reload", async () => {
    const { page, api } = test;
    await choose("spikingbrain-7b");
    expect(await chosen()).toContain("spikingbrain-7b");
    await page.getByText(/^A model of 7.6 billion parameters, running on the pool’s replicas/).waitFor();
    await ask(page, "Hello");
    await page.reload();
    await page.getByRole("button", { name: "New chat" }).first().click();
    await expect.poll(chosen).toContain("spikingbrain-7b");
    await ask(page, "Again");
    expect(asked()).toEqual(["spikingbrain-7b", "spikingbrain-7b"]);
    expect(api.calls.filter(({ method, path }) => method === "POST" && path === "/v1/sessions").map(({ body }) => body)).toMatchObject([
      { model: "spikingbrain-7b" },
      { model: "spikingbrain-7b" },
    ]);
  });

  it("a conversation keeps its own: another choice begins a new one", async () => {
    const { page } = test;
    await ask(page, "With the small one");
    await choose("spikingbrain-7b");
    await page.getByText("A small model at the network’s edge").waitFor();
    await ask(page, "With the large one");
    await page.locator("aside .row-title").getByText("With the small one").click();
    await expect.poll(chosen).toContain("spikingbrain-135m");
    await ask(page, "And again");
    await page.locator("aside .row-title").getByText("With the large one").click();
    await expect.poll(chosen).toContain("spikingbrain-7b");
    await ask(page, "And again");
    expect(asked()).toEqual(["spikingbrain-135m", "spikingbrain-7b", "spikingbrain-135m", "spikingbrain-7b"]);
  });

  it("one that can't answer any more is not asked in new conversations", async () => {
    const { page, api } = test;
    await choose("spikingbrain-7b");
    api.otherModels = [{ ...large, ...{ status: "unavailable", reason: "its replicas are gone" } }, away];
    await openModels();
    await page.getByText("its replicas are gone").waitFor();
    expect(await page.getByRole("radio", { name: /^spikingbrain-135m/ }).isChecked()).toBe(true);
    await page.getByRole("button", { name: "Close" }).click();
    await ask(page, "Hello");
    expect(asked()).toEqual(["spikingbrain-135m"]);
    // It is the choice still, once it can answer.
    await serve(large, away);
    await page.getByRole("button", { name: "New chat" }).first().click();
    await expect.poll(chosen).toContain("spikingbrain-7b");
  });

  it("in Chinese, too", async () => {
    const { page } = test;
    await page.getByRole("button", { name: "中文" }).click();
    await page.getByRole("button", { name: /^模型: / }).click();
    await page.getByRole("radio", { name: /^spikingbrain-76b 目前无法回答/ }).waitFor();
  });
});

it("a single model is a name and no choice", async () => {
  await serve();
  expect(await test.page.locator(".model button").count()).toBe(0);
});
