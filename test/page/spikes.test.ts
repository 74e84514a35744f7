/** The spike meter: asked for in the settings, live while an answer is written, by layer once it has ended. */
import { AxeBuilder } from "@axe-core/playwright";
import { beforeEach, describe, expect, it } from "vitest";
import { ask, send, waitForStatus } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage();

async function serve(card: object): Promise<void> {
  const { page, api } = test;
  api.card = card;
  await page.reload();
  await page.locator('.model[data-status="ready"]').waitFor();
}

async function turnOn(): Promise<void> {
  const { page } = test;
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("dialog").getByLabel("Show spikes").check();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
}

const live = [
  { silent_share: 0.25, mean_spikes: 1.31 },
  { silent_share: 0.5, mean_spikes: 1.08 },
];
const usage = {
  prompt_tokens: 12,
  completion_tokens: 2,
  spikes: { mode: "paper", silent_share: 0.184, mean_spikes: 1.13, layers: [{ silent_share: 0.1 }, { silent_share: 0.268 }] },
};

describe("the spike meter", () => {
  beforeEach(() => serve({ spiking: "paper" }));

  it("is not there, and nothing is asked, until it is turned on", async () => {
    const { page, api } = test;
    await ask(page, "Hello");
    expect(api.requests[0]).not.toHaveProperty("spikes");
    expect(await page.locator(".spikes").count()).toBe(0);
  });

  it("moves while the answer is written and shows layers when it has ended", async () => {
    const { page, api } = test;
    await turnOn();
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    api.replies.push({ kind: "stream", deltas: ["One", " two"], spikes: live, usage, gate });
    await send(page, "Hello");
    await page.getByText("25% of inputs silent · 1.3 spikes an input").waitFor();
    expect(api.requests[0]).toMatchObject({ spikes: true });
    expect(await page.getByRole("meter", { name: "Silent inputs" }).getAttribute("aria-valuenow")).toBe("25");
    expect(await page.locator(".spike-layers").count()).toBe(0);
    open();
    await waitForStatus(page, "done");
    await page.getByText("18.4% of inputs silent · 1.1 spikes an input").waitFor();
    await page.getByRole("img", { name: "Silent inputs by layer: 10%, 26.8%" }).waitFor();
    const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`)).toEqual([]);
  });

  it("stays on after a reload, and with the answer it belongs to", async () => {
    const { page, api } = test;
    await turnOn();
    api.replies.push({ kind: "stream", deltas: ["One", " two"], spikes: live, usage });
    await ask(page, "Hello");
    await expect.poll(() => page.locator(".spikes").count()).toBe(1);
    await expect
      .poll(async () => {
        await page.reload();
        return page.getByText("18.4% of inputs silent").count();
      })
      .toBe(1);
    await ask(page, "Again");
    expect(api.requests[1]).toMatchObject({ spikes: true });
  });
});

describe("a model that does not spike", () => {
  it.each([["off"], [null], [undefined]])("says so in place of the choice (spiking: %j)", async (spiking) => {
    const { page } = test;
    await serve({ spiking });
    await page.getByRole("button", { name: "Settings" }).click();
    const choice = page.getByRole("dialog").getByLabel("Show spikes");
    expect(await choice.isDisabled()).toBe(true);
    const reason = "Nothing fires in spikingbrain-135m as this server runs it. SPIKES=paper npm start runs it with spikes.";
    await page.getByText(reason).waitFor();
    expect(await page.locator(`#${(await choice.getAttribute("aria-describedby")) ?? ""}`).innerText()).toBe(reason);
    const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`)).toEqual([]);
  });

  it("is not asked what another model was asked, and the choice comes back with that model", async () => {
    const { page, api } = test;
    await serve({ spiking: "released" });
    await turnOn();
    await ask(page, "Hello");
    await serve({ spiking: "off", max_model_len: 512 });
    await ask(page, "Again");
    await page.getByRole("button", { name: "New chat" }).first().click();
    await ask(page, "Anew");
    await serve({ spiking: "paper" });
    await ask(page, "Once more");
    expect(api.requests.map((request) => request["spikes"])).toEqual([true, undefined, undefined, true]);
    // 512 tokens of answer leave no room for a prompt in a context of 512.
    expect(api.requests.map((request) => request["max_tokens"])).toEqual([512, undefined, undefined, 512]);
  });
});
