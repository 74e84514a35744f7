import { describe, expect, it } from "vitest";
import { ask, send, waitForStatus } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const longAnswer = `A${"very".repeat(60)}longword\n\n\`\`\`js\nconst wide = "${"x".repeat(300)}";\n\`\`\`\n\n|${" column |".repeat(12)}\n|${"---|".repeat(12)}\n|${" cell |".repeat(12)}\n`;

describe("on a phone", () => {
  const test = usePage({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  it("nothing is wider than the screen, whatever the answer holds", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: [longAnswer] });
    await ask(page, `B${"road".repeat(80)}`);
    const wide = await page.evaluate(() => {
      const scroller = document.querySelector(".scroller");
      return [document.documentElement.scrollWidth - innerWidth, (scroller?.scrollWidth ?? 0) - (scroller?.clientWidth ?? 0)];
    });
    expect(wide).toEqual([0, 0]);
  });

  it("conversations are in a drawer", async () => {
    const { page } = test;
    await ask(page, "First topic");
    await page.getByRole("button", { name: "New chat" }).click();
    await page.getByRole("button", { name: "Show conversations" }).click();
    const drawer = page.getByRole("dialog", { name: "Conversations" });
    await drawer.waitFor();
    await page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Show conversations" }).click();
    await drawer.getByRole("button", { name: "First topic", exact: true }).click();
    await drawer.waitFor({ state: "detached" });
    expect(await page.getByRole("heading", { level: 1 }).innerText()).toBe("First topic");
  });

  it("what is chosen in the drawer takes its place", async () => {
    const { page } = test;
    await page.getByRole("button", { name: "Show conversations" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Documents" }).click();
    const documents = page.getByRole("dialog", { name: "Documents" });
    await documents.getByLabel("Choose a text file").waitFor();
    const box = await documents.boundingBox();
    expect(box !== null && box.x >= 0 && box.x + box.width <= 390).toBe(true);
    await page.waitForFunction(() => document.querySelectorAll("dialog[open]").length === 1);
  });

  it("every control is large enough to touch", async () => {
    const { page } = test;
    await ask(page, "Hello");
    for (const button of await page.locator("button:visible").all()) {
      const box = await button.boundingBox();
      if (box === null || box.y < 0) continue;
      expect({ name: await button.getAttribute("aria-label"), small: Math.min(box.width, box.height) < 24 }).toMatchObject({
        small: false,
      });
    }
  });

  it("settings and code fit", async () => {
    const { page } = test;
    for (const name of ["Settings", "View code"]) {
      await page.getByRole("button", { name }).click();
      await page.getByRole("dialog").waitFor();
      const box = await page.getByRole("dialog").boundingBox();
      expect({ name, fits: box !== null && box.x >= 0 && box.x + box.width <= 390 && box.y + box.height <= 844 }).toEqual({
        name,
        fits: true,
      });
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
  });
});

describe("for a Chinese reader", () => {
  const test = usePage({ locale: "zh-CN" });

  it("the page speaks Chinese from the first visit, errors included", async () => {
    const { page, api } = test;
    expect(await page.evaluate(() => document.documentElement.lang)).toBe("zh-Hans");
    api.replies.push({ kind: "stream", deltas: ["你", "好", "，世界"], ending: "cut" });
    await page.getByRole("textbox", { name: "消息", exact: true }).fill("你好");
    await page.keyboard.press("Enter");
    await waitForStatus(page, "failed");
    expect(await page.getByRole("alert").innerText()).toContain("回答中断");
    await page.getByRole("button", { name: "重试" }).click();
    await waitForStatus(page, "done");
    expect(api.requests[1]?.messages).toEqual([{ role: "user", content: "你好" }]);
  });
});

describe("with reduced motion", () => {
  const test = usePage({ reducedMotion: "reduce" });

  it("nothing pulses", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "silence" });
    await send(page, "Hello");
    await waitForStatus(page, "waiting");
    const iterations = await page
      .locator(".pulse")
      .first()
      .evaluate((element) => getComputedStyle(element).animationIterationCount);
    expect(iterations).toBe("1");
  });
});
