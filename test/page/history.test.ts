import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { ask, inputOf, lastAnswer, send, waitForStatus, waitForText } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage();

function rows() {
  return test.page.locator("aside .row-title");
}

async function chooseAction(title: string, action: string): Promise<void> {
  await test.page.getByRole("button", { name: `Actions for “${title}”` }).click();
  await test.page.getByRole("button", { name: action, exact: true }).click();
}

describe("history", () => {
  it("survives a reload, with the open conversation", async () => {
    const { page } = test;
    await ask(page, "First topic");
    await page.getByRole("button", { name: "New chat" }).first().click();
    await ask(page, "Second topic");
    await rows().getByText("First topic").click();
    await page.reload();
    await rows().getByText("Second topic").waitFor();
    expect(await page.getByRole("heading", { level: 1 }).innerText()).toBe("First topic");
    expect(await lastAnswer(page).locator(".markdown").innerText()).toBe("Hello, world.");
    expect(await rows().allInnerTexts()).toEqual(["Second topic", "First topic"]);
    await expect.poll(() => page.title()).toBe("First topic · SpikingBrain");
  });

  it("keeps what had arrived when the page goes away in the middle of an answer", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["Some of it"], ending: "hang" });
    await send(page, "Go");
    await waitForText(page, "Some of it");
    await page.reload();
    await waitForStatus(page, "stopped");
    expect(await lastAnswer(page).innerText()).toContain("Some of it");
    await expect.poll(() => api.aborts).toBe(1);
  });

  it("lets one conversation answer while another is read", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["slow ", "but ", "steady"], intervalMs: 250 });
    await send(page, "Slow one");
    await waitForText(page, "slow");
    await page.getByRole("button", { name: "New chat" }).first().click();
    await ask(page, "Quick one");
    expect(await lastAnswer(page).locator(".markdown").innerText()).toBe("Hello, world.");
    await rows().getByText("Slow one").click();
    await waitForStatus(page, "done");
    expect(await lastAnswer(page).locator(".markdown").innerText()).toBe("slow but steady");
  });

  it("renames", async () => {
    const { page } = test;
    await ask(page, "First topic");
    await chooseAction("First topic", "Rename");
    await page.getByRole("textbox", { name: "Name of the conversation" }).fill("Better name");
    await page.keyboard.press("Enter");
    expect(await page.getByRole("heading", { level: 1 }).innerText()).toBe("Better name");
    await page.reload();
    await rows().getByText("Better name").waitFor();
  });

  it("deletes, for good after a reload, unless it is undone", async () => {
    const { page } = test;
    await ask(page, "First topic");
    await chooseAction("First topic", "Delete");
    expect(await rows().count()).toBe(0);
    await page.getByRole("button", { name: "Undo" }).click();
    await rows().getByText("First topic").waitFor();
    await chooseAction("First topic", "Delete");
    await page.reload();
    await inputOf(page).waitFor();
    await page.getByText("They belong to this browser’s key.").waitFor();
    expect(await rows().count()).toBe(0);
  });

  it("stops an answer when its conversation is deleted", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["Some"], ending: "hang" });
    await send(page, "Topic");
    await waitForText(page, "Some");
    await chooseAction("Topic", "Delete");
    await expect.poll(() => api.aborts).toBe(1);
  });

  it("exports as JSON and as Markdown", async () => {
    const { page } = test;
    await ask(page, "What? <b>");
    const exported = async (action: string) => {
      const [download] = await Promise.all([page.waitForEvent("download"), chooseAction("What? <b>", action)]);
      return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
    };
    const json = await exported("Export as JSON");
    expect(json.name).toBe("What b.json");
    expect(JSON.parse(json.text)).toMatchObject({
      title: "What? <b>",
      messages: [
        { role: "user", content: "What? <b>" },
        { role: "assistant", content: "Hello, world." },
      ],
    });
    const markdown = await exported("Export as Markdown");
    expect(markdown.name).toBe("What b.md");
    expect(markdown.text).toContain("**You**\n\nWhat? <b>\n\n");
  });
});
