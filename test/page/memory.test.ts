/** A model whose context has no end: what the conversation has used, and the state beside the cache that full attention would need. */
import { AxeBuilder } from "@axe-core/playwright";
import { beforeEach, describe, expect, it } from "vitest";
import { ask, inputOf, send, waitForStatus } from "./support/chat-page.ts";
import { usePage, type PageTest } from "./support/page-test.ts";

const card = {
  max_model_len: 131_072,
  context: { unlimited: true, trained_tokens: 8192 },
  form: { summary: "window 512 + evicted-token state in every layer" },
  state: { bytes: 14_000_000, constant: true, keys_and_values: "int8", full_attention_bytes_per_token: 12_240 },
};
const full = (tokens: number) => ({ tokens, bytes: 14_000_000 });

/** A promise and what fulfils it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

async function serveEndless({ api, page }: PageTest): Promise<void> {
  api.card = card;
  await page.reload();
  await page.locator('.model[data-status="ready"]').waitFor();
}

/** Where the chart has this conversation, in pixels from its top left corner. */
const dots = async ({ page }: PageTest) => {
  const found: Record<string, { x: number; y: number }> = {};
  for (const dot of await page.locator(".memory-chart circle").all())
    found[(await dot.getAttribute("data-kind")) ?? ""] = {
      x: Number(await dot.getAttribute("cx")),
      y: Number(await dot.getAttribute("cy")),
    };
  return found;
};

describe("the memory meter", () => {
  const test = usePage();
  beforeEach(() => serveEndless(test));

  it("asks for the state, says how far a long prompt is read, and stays flat while the answer grows", async () => {
    const { page, api } = test;
    const [read, end] = [gate(), gate()];
    const usage = { prompt_tokens: 20_000, completion_tokens: 2, state: full(20_002) };
    api.replies.push({
      kind: "stream",
      deltas: ["One", " two"],
      reading: [full(256), full(5120)],
      states: [full(20_000), full(20_001)],
      readGate: read.opened,
      gate: end.opened,
      usage,
    });
    await send(page, "Hello");
    await page.getByText("Reading: 5,120 tokens so far").waitFor();
    expect(api.requests[0]).toMatchObject({ state: true });
    await page.getByText("5,120 tokens, no limit").waitFor();
    read.open();
    await page.getByText("20,000 tokens, no limit").waitFor();
    const label = (cache: string, tokens: string) =>
      `The model’s state takes 14.0 MB now, and 14.0 MB at the most, however long the conversation. A KV cache of these ${tokens} tokens would take ${cache} MB.`;
    await page.getByRole("img", { name: label("245", "20,000") }).waitFor();
    end.open();
    await waitForStatus(page, "done");
    await page.getByRole("img", { name: label("245", "20,002") }).waitFor();
    const { state: now, cache, crossing } = await dots(test);
    expect(now?.x).toBe(cache?.x);
    // Long after the lines have crossed, the cache lies above the state, which is level with the crossing.
    expect(now?.x).toBeGreaterThan(crossing?.x ?? Infinity);
    expect(cache?.y).toBeLessThan(now?.y ?? 0);
    expect(now?.y).toBeCloseTo(crossing?.y ?? 0, 6);
    const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`)).toEqual([]);
  });

  it("is honest about short conversations, where a cache would be smaller", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["Yes"], states: [{ tokens: 100, bytes: 5_000_000 }] });
    await ask(page, "Hello");
    await page.locator(".memory-value").getByText("1.2 MB").waitFor();
    // 14,000,000 bytes are 1,143.8 tokens of 12,240 bytes.
    await page.getByText("A short conversation may take more than with a KV cache; from 1,144 tokens on it takes less.").waitFor();
    const { state: now, cache, crossing } = await dots(test);
    expect(now?.x).toBeLessThan(crossing?.x ?? 0);
    expect(now?.y).toBeLessThan(cache?.y ?? 0);
    await page.getByRole("img", { name: "The model’s state takes 5.0 MB now, and 14.0 MB at the most" }).waitFor();
  });

  it("counts the draft, and never says that it does not fit", async () => {
    const { page } = test;
    await inputOf(page).fill("word ".repeat(3000));
    await page.getByText("3,005 tokens, no limit").waitFor();
    expect(await page.locator(".memory").innerText()).toBe("3,005 tokens, no limit");
    expect(await page.locator(".meter-advice").count()).toBe(0);
  });

  it("keeps the last figures over a reload, and belongs to its conversation", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["Yes"], states: [full(3000)] });
    await ask(page, "Hello");
    await page.locator(".memory-now").waitFor();
    await expect
      .poll(async () => {
        await page.reload();
        await page.locator('.model[data-status="ready"]').waitFor();
        return page.locator(".memory-value").first().innerText({ timeout: 1000 });
      })
      .toBe("14.0 MB");
    await page.getByRole("button", { name: "New chat" }).first().click();
    expect(await page.locator(".memory-now").count()).toBe(0);
  });

  it("names the form of the model beside its name", async () => {
    expect(await test.page.locator(".model").getAttribute("title")).toBe(card.form.summary);
  });
});

describe("the memory meter on a phone", () => {
  const test = usePage({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, locale: "zh-CN" });

  it("fits beside the button, in Chinese too", async () => {
    const { page, api } = test;
    await serveEndless(test);
    api.replies.push({ kind: "stream", deltas: ["好"], states: [full(1_234_567)] });
    await page.getByRole("textbox", { name: "消息", exact: true }).fill("你好");
    await page.keyboard.press("Enter");
    await waitForStatus(page, "done");
    await page.getByRole("img", { name: /对话再长也不超过 14.0 MB。这 1,234,567 个词元的 KV 缓存需要 15,111 MB。/ }).waitFor();
    const [meter, button] = [await page.locator(".memory").boundingBox(), await page.locator(".send").boundingBox()];
    expect((meter?.x ?? 0) + (meter?.width ?? 1e9)).toBeLessThanOrEqual(button?.x ?? 0);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
  });
});

describe("a model that does not tell", () => {
  const test = usePage();

  it("is not asked, and its limit is shown", async () => {
    const { page, api } = test;
    await ask(page, "Hello");
    expect(api.requests[0]).not.toHaveProperty("state");
    await page.getByText(/\/ 2,048 tokens/).waitFor();
    expect(await page.locator(".memory").count()).toBe(0);
  });
});
