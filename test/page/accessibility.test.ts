import { describe, expect, it } from "vitest";
import { violationsOf } from "./support/accessibility.ts";
import { ask, inputOf, send, waitForStatus } from "./support/chat-page.ts";
import { usePage, type PageTest } from "./support/page-test.ts";

const richAnswer = `# Title

Text with \`code\` and [a link](https://example.com).

\`\`\`python
def f():
    # why
    return 'x' + str(1)
\`\`\`

| a | b |
|---|---|
| 1 | 2 |

> quoted

$$
\\sum_{i=0}^n i = \\frac{n(n+1)}{2}
$$`;

function checkStates(test: PageTest, dialogs: readonly string[]): void {
  it("has no violation from the empty page to answers, errors and an open editor", async () => {
    const { page, api } = test;
    expect(await violationsOf(page)).toEqual([]);
    api.replies.push({ kind: "stream", deltas: [richAnswer] });
    await ask(page, "Show me everything");
    await page.locator(".hljs-keyword").first().waitFor();
    await page.locator("math").first().waitFor();
    api.replies.push({ kind: "error", status: 503, body: { error: { message: "no room" } }, headers: { "retry-after": "60" } });
    await send(page, "Again");
    await waitForStatus(page, "failed");
    await inputOf(page).press("ArrowUp");
    await page.getByRole("textbox", { name: "Edit message" }).waitFor();
    expect(await violationsOf(page)).toEqual([]);
  });

  it("has no violation while an answer is written and in its dialogs", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["Some text"], ending: "hang" });
    await send(page, "Go");
    await waitForStatus(page, "streaming");
    expect(await violationsOf(page)).toEqual([]);
    for (const name of dialogs) {
      await page.getByRole("button", { name }).click();
      await page.getByRole("dialog").waitFor();
      expect(await violationsOf(page)).toEqual([]);
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
  });
}

describe("accessibility, light", () => checkStates(usePage({ colorScheme: "light" }), ["Settings", "View code", "Keyboard shortcuts"]));
describe("accessibility, dark", () => checkStates(usePage({ colorScheme: "dark" }), ["Settings", "View code", "Keyboard shortcuts"]));
describe("accessibility, phone", () => {
  checkStates(usePage({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }), ["Settings", "Show conversations"]);
});
