/** Every text follows its own direction, and code is read from left to right in any of them. */
import { AxeBuilder } from "@axe-core/playwright";
import { describe, expect, it } from "vitest";
import { ask, inputOf, lastAnswer, send, waitForStatus } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";
import type { Locator } from "playwright-core";

const test = usePage();
const directionOf = (element: Locator) => element.evaluate((found) => getComputedStyle(found).direction);

const arabicQuestion = "اكتب دالة في بايثون";
const arabicAnswer = `هذه دالة \`print("hi")\` في بايثون.

This paragraph is English with שלום in it.

\`print()\` היא פונקציה.

- פריט ראשון
- פריט שני

| عمود | قيمة |
|---|---|
| واحد | 1 |

> اقتباس

\`\`\`python
def f():
    return "سلام"
\`\`\``;

describe("direction", () => {
  it("is that of each message, title, row and box", async () => {
    const { page } = test;
    expect(await directionOf(inputOf(page))).toBe("ltr");
    await inputOf(page).fill(arabicQuestion);
    expect(await directionOf(inputOf(page))).toBe("rtl");
    test.api.replies.push({ kind: "stream", deltas: [arabicAnswer] });
    await page.keyboard.press("Enter");
    await waitForStatus(page, "done");
    for (const selector of [".bubble", "h1", "aside .row-title"]) {
      expect({ selector, direction: await directionOf(page.locator(selector).first()) }).toEqual({ selector, direction: "rtl" });
    }
    await page.locator("article.user").hover();
    await page.getByRole("button", { name: "Edit" }).click();
    expect(await directionOf(page.getByRole("textbox", { name: "Edit message" }))).toBe("rtl");
    await page.keyboard.press("Escape");
    await ask(page, "English again");
    expect(await directionOf(page.locator(".bubble").last())).toBe("ltr");
    // The page itself stays as its language has it.
    expect(await directionOf(page.locator("body"))).toBe("ltr");
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
  });

  it("is that of each block of an answer, and code does not count", async () => {
    const { page } = test;
    test.api.replies.push({ kind: "stream", deltas: arabicAnswer.match(/[^]{1,7}/gu) ?? [], intervalMs: 1 });
    await send(page, "Go");
    await waitForStatus(page, "done");
    const answer = lastAnswer(page).locator(".markdown");
    const paragraphs = answer.locator("p");
    expect([await directionOf(paragraphs.nth(0)), await directionOf(paragraphs.nth(1)), await directionOf(paragraphs.nth(2))]).toEqual([
      "rtl",
      "ltr",
      "rtl",
    ]);
    for (const selector of ["ul", "table", "blockquote"])
      expect({ selector, direction: await directionOf(answer.locator(selector)) }).toEqual({ selector, direction: "rtl" });
    for (const code of await answer.locator("code").all()) expect(await directionOf(code)).toBe("ltr");
    expect(await directionOf(answer.locator(".code-head"))).toBe("ltr");
    const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
    expect(violations.map(({ id }) => id)).toEqual([]);
  });

  it("is that of a name being typed", async () => {
    const { page } = test;
    await ask(page, "Topic");
    await page.getByRole("button", { name: "Actions for “Topic”" }).click();
    await page.getByRole("button", { name: "Rename", exact: true }).click();
    await page.getByRole("textbox", { name: "Name of the conversation" }).fill("עברית");
    expect(await directionOf(page.getByRole("textbox", { name: "Name of the conversation" }))).toBe("rtl");
    await page.keyboard.press("Enter");
    await expect.poll(() => directionOf(page.getByRole("heading", { level: 1 }))).toBe("rtl");
  });
});
