import { describe, expect, it } from "vitest";
import { answersOf, ask, inputOf, lastAnswer, send, waitForStatus, waitForText } from "./support/chat-page.ts";
import { model } from "./support/fake-api.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage();

describe("a conversation", () => {
  it("streams an answer and measures it", async () => {
    const { page, api } = test;
    const { promise: gate, resolve: goOn } = Promise.withResolvers<undefined>();
    api.replies.push({
      kind: "stream",
      deltas: ["One ", "two ", "three"],
      gate,
      usage: { prompt_tokens: 21, completion_tokens: 7 },
    });
    await send(page, "Count");
    await lastAnswer(page).getByText("≈ 2 tokens").waitFor();
    expect(await lastAnswer(page).locator(".markdown").innerText()).toBe("One two");
    goOn(undefined);
    await waitForStatus(page, "done");
    expect(await lastAnswer(page).locator(".markdown").innerText()).toBe("One two three");
    const speed = await lastAnswer(page).locator(".speed").innerText();
    expect(speed).toMatch(/\d\.\d+ s to first token/);
    expect(speed).toMatch(/\d tokens\/s/);
    expect(speed).toContain("7 tokens");
    expect(speed).not.toContain("≈");
    expect(await inputOf(page).inputValue()).toBe("");
    expect(await page.getByText(model).first().isVisible()).toBe(true);
  });

  it("sends the whole history and asks for usage", async () => {
    const { page, api } = test;
    await ask(page, "First");
    await ask(page, "Second");
    expect(api.requests[1]).toMatchObject({
      model: model,
      stream: true,
      stream_options: { include_usage: true },
      messages: [
        { role: "user", content: "First" },
        { role: "assistant", content: "Hello, world." },
        { role: "user", content: "Second" },
      ],
    });
  });

  it("stops: the server sees it, the text stays, and the model is told what it had said", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["Half an "], ending: "hang" });
    await send(page, "Go");
    await waitForText(page, "Half an");
    await page.getByRole("button", { name: "Stop" }).click();
    await waitForStatus(page, "stopped");
    await expect.poll(() => api.aborts).toBe(1);
    expect(await lastAnswer(page).innerText()).toContain("Half an");
    expect(await page.getByRole("alert").count()).toBe(0);
    await ask(page, "Go on");
    expect(api.requests[1]?.messages[1]).toEqual({ role: "assistant", content: "Half an " });
  });

  it("stops before the first token, too", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "silence" });
    await send(page, "Go");
    await waitForStatus(page, "waiting");
    await expect.poll(() => api.requests.length).toBe(1);
    await page.keyboard.press("Escape");
    await waitForStatus(page, "stopped");
    await expect.poll(() => api.aborts).toBe(1);
  });

  it("regenerates the last answer from the same messages", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["First try"] }, { kind: "stream", deltas: ["Second try"] });
    await ask(page, "Go");
    await page.getByRole("button", { name: "Regenerate" }).click();
    await waitForText(page, "Second try");
    await waitForStatus(page, "done");
    expect(api.requests[1]?.messages).toEqual(api.requests[0]?.messages);
    expect(await answersOf(page).count()).toBe(1);
    expect(await page.getByText("First try").count()).toBe(0);
  });

  it("takes what is typed right after the click on Edit: the editor has the focus, its caret at the end, before anything else happens", async () => {
    const { page } = test;
    await ask(page, "One");
    const edit = page.locator("article.user").getByRole("button", { name: "Edit" });
    const caret = await edit.evaluate(async (button: HTMLButtonElement) => {
      button.click();
      await new Promise((resolve) => setTimeout(resolve));
      const focused = document.activeElement;
      return focused instanceof HTMLTextAreaElement ? [focused.value, focused.selectionStart] : focused?.tagName;
    });
    expect(caret).toEqual(["One", 3]);
  });

  it("is edited from any message on; what followed is dropped", async () => {
    const { page, api } = test;
    for (const text of ["One", "Two", "Three"]) await ask(page, text);
    const second = page.locator("article.user").nth(1);
    await second.hover();
    await second.getByRole("button", { name: "Edit" }).click();
    const editor = page.getByRole("textbox", { name: "Edit message" });
    expect(await editor.inputValue()).toBe("Two");
    await editor.fill("Two, changed");
    await page.getByRole("button", { name: "Save and send" }).click();
    await expect.poll(() => api.requests.length).toBe(4);
    await waitForStatus(page, "done");
    expect(api.requests[3]?.messages.map((message) => message.content)).toEqual(["One", "Hello, world.", "Two, changed"]);
    expect(await page.locator(".bubble").allInnerTexts()).toEqual(["One", "Two, changed"]);
  });

  it("leaves a message as it was when an edit is cancelled", async () => {
    const { page, api } = test;
    await ask(page, "One");
    await page.keyboard.press("ArrowUp");
    await page.getByRole("textbox", { name: "Edit message" }).fill("changed");
    await page.keyboard.press("Escape");
    expect(await page.locator(".bubble").innerText()).toBe("One");
    expect(api.requests).toHaveLength(1);
  });

  it("copies a message and a code block", async () => {
    const { page, api } = test;
    const code = "print('a')\n\nprint('b')";
    api.replies.push({ kind: "stream", deltas: [`Code:\n\n\`\`\`python\n${code}\n\`\`\`\n`] });
    await ask(page, "Go");
    const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
    await lastAnswer(page).getByRole("button", { name: "Copy", exact: true }).click();
    await lastAnswer(page).getByRole("button", { name: "Copied" }).waitFor();
    expect((await clipboard()).trimEnd()).toBe(code);
    await lastAnswer(page).getByRole("button", { name: "Copy message" }).click();
    expect(await clipboard()).toContain("```python");
  });

  it("takes an example prompt with one click", async () => {
    const { page, api } = test;
    await page.getByRole("button", { name: /why the sky is blue/ }).click();
    await waitForStatus(page, "done");
    expect(api.requests[0]?.messages[0]?.content).toContain("why the sky is blue");
  });

  it("tells a screen reader of the beginning and the end, and does not read out every token", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["Some ", "answer"], intervalMs: 100 });
    await send(page, "Go");
    const spoken = page.locator('[role="status"].visually-hidden');
    await spoken.getByText("Generating an answer").waitFor({ state: "attached" });
    await waitForStatus(page, "done");
    await spoken.getByText("Answer finished. Some answer").waitFor({ state: "attached" });
    expect(await lastAnswer(page).locator("[aria-live]").count()).toBe(0);
  });
});

describe("context use", () => {
  it("counts the conversation and the draft by the server's tokenizer", async () => {
    const { page, api } = test;
    const counted = page.waitForResponse("**/tokenize");
    await inputOf(page).fill("three short words");
    await counted;
    await page.getByText("7 / 2,048 tokens").waitFor();
    api.replies.push({ kind: "stream", deltas: ["two words"] });
    await page.keyboard.press("Enter");
    await page.getByText("13 / 2,048 tokens").waitFor();
  });

  it("says what to do when it is full", async () => {
    const { page, api } = test;
    api.contextLength = 20;
    await page.reload();
    await inputOf(page).fill("word ".repeat(30));
    await page.getByText(/no longer fits/).waitFor();
  });
});

describe("scrolling", () => {
  const lines = Array.from({ length: 120 }, (_, index) => `Line ${index}\n\n`);

  it("follows the answer until the reader scrolls up, and again after a jump", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: lines, intervalMs: 15 });
    await send(page, "Go");
    const scroller = page.getByRole("region", { name: "Conversation" });
    const fromEnd = () => scroller.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop);
    await waitForText(page, "Line 30");
    await expect.poll(fromEnd).toBeLessThan(5);
    await scroller.hover();
    await page.mouse.wheel(0, -300);
    const jump = page.getByRole("button", { name: "Jump to latest" });
    await jump.waitFor();
    const held = await scroller.evaluate((element) => element.scrollTop);
    await waitForText(page, "Line 80");
    expect(await scroller.evaluate((element) => element.scrollTop)).toBe(held);
    await jump.click();
    await waitForStatus(page, "done");
    await expect.poll(fromEnd).toBeLessThan(5);
    expect(await jump.count()).toBe(0);
  });
});
