import { describe, expect, it } from "vitest";
import { ask, inputOf, send, waitForStatus, waitForText } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage();

describe("the message box", () => {
  it("makes a new line with Shift+Enter and grows with it", async () => {
    const { page, api } = test;
    const height = async () => (await inputOf(page).boundingBox())?.height ?? 0;
    await inputOf(page).focus();
    const before = await height();
    await page.keyboard.type("one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    expect(await inputOf(page).inputValue()).toBe("one\ntwo");
    expect(await height()).toBeGreaterThan(before);
    expect(api.requests).toHaveLength(0);
    await page.keyboard.press("Enter");
    await waitForStatus(page, "done");
    expect(api.requests[0]?.messages[0]?.content).toBe("one\ntwo");
    expect(await height()).toBe(before);
  });

  it("does not send with the Enter that ends an input method's composition", async () => {
    const { page, context, api } = test;
    await inputOf(page).focus();
    const session = await context.newCDPSession(page);
    await session.send("Input.imeSetComposition", { text: "nihao", selectionStart: 5, selectionEnd: 5 });
    await page.keyboard.press("Enter");
    expect(api.requests).toHaveLength(0);
    await session.send("Input.insertText", { text: "你好" });
    expect(await inputOf(page).inputValue()).toContain("你好");
    await page.keyboard.press("Enter");
    await waitForStatus(page, "done");
    expect(api.requests[0]?.messages[0]?.content).toContain("你好");
  });

  it("knows the composition key of a browser that has ended the composition already", async () => {
    const { page, api } = test;
    await inputOf(page).fill("你好");
    const prevented = await inputOf(page).evaluate((element) => {
      const event = new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true });
      return !element.dispatchEvent(event);
    });
    expect(prevented).toBe(false);
    expect(await inputOf(page).inputValue()).toBe("你好");
    expect(api.requests).toHaveLength(0);
  });

  it("sends nothing that is empty, and nothing while an answer is written", async () => {
    const { page, api } = test;
    await inputOf(page).fill("  \n ");
    await page.keyboard.press("Enter");
    expect(api.requests).toHaveLength(0);
    api.replies.push({ kind: "stream", deltas: ["x"], ending: "hang" });
    await send(page, "Go");
    await waitForText(page, "x");
    await inputOf(page).fill("next");
    await page.keyboard.press("Enter");
    expect(await inputOf(page).inputValue()).toBe("next");
    expect(api.requests).toHaveLength(1);
  });
});

describe("shortcuts", () => {
  it("reach the box, a new chat and the list", async () => {
    const { page } = test;
    await ask(page, "Hello");
    await page.getByRole("region", { name: "Conversation" }).focus();
    await page.keyboard.press("/");
    expect(await inputOf(page).evaluate((element) => element === document.activeElement)).toBe(true);
    expect(await inputOf(page).inputValue()).toBe("");
    await page.keyboard.press("Control+Shift+O");
    await page.getByRole("heading", { name: "New chat" }).waitFor();
    await page.getByRole("button", { name: "Settings" }).focus();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  });

  it("Esc closes a dialog first and stops an answer after that", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["x"], ending: "hang" });
    await send(page, "Go");
    await waitForText(page, "x");
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(api.aborts).toBe(0);
    await waitForStatus(page, "streaming");
    await page.keyboard.press("Escape");
    await waitForStatus(page, "stopped");
  });

  it("a dialog keeps the focus and gives it back", async () => {
    const { page } = test;
    const button = page.getByRole("button", { name: "Settings" });
    await button.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    for (let press = 0; press < 15; press += 1) {
      await page.keyboard.press("Tab");
      const outside = await page.evaluate(
        () => document.activeElement !== document.body && document.activeElement?.closest("dialog") === null,
      );
      expect(outside).toBe(false);
    }
    await page.keyboard.press("Escape");
    await expect.poll(() => button.evaluate((element) => element === document.activeElement)).toBe(true);
  });

  it("everything on the page can be reached by Tab, and shows it", async () => {
    const { page } = test;
    await ask(page, "Hello");
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    const reached = new Set<string>();
    for (let press = 0; press < 40; press += 1) {
      await page.keyboard.press("Tab");
      const focus = await page.evaluate(() => {
        const element = document.activeElement;
        if (element === null || element === document.body) return null;
        const style = getComputedStyle(element);
        const frame = element.closest(".composer-box");
        const visible = style.outlineStyle !== "none" || (frame !== null && getComputedStyle(frame).boxShadow !== "none");
        return { name: element.getAttribute("aria-label") ?? element.textContent, visible };
      });
      if (focus === null) continue;
      expect(focus).toEqual({ name: focus.name, visible: true });
      reached.add(focus.name);
    }
    const wanted = [
      "New chat",
      "Hello",
      "System",
      "Settings",
      "View code",
      "Conversation",
      "Edit",
      "Copy message",
      "Regenerate",
      "Message",
    ];
    expect([...reached]).toEqual(expect.arrayContaining(wanted));
  });
});
