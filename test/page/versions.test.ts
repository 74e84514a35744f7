/** What edit and regenerate replace stays, here and at the server, and can be gone back to. */
import { AxeBuilder } from "@axe-core/playwright";
import { describe, expect, it } from "vitest";
import { answersOf, ask, inputOf, lastAnswer, send, textOf, waitForStatus, waitForText } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage({ keepsSessions: true });
const bubbles = () => test.page.locator(".bubble").allInnerTexts();
const answers = () => test.page.locator("article.answer .markdown").allInnerTexts();
const questions = (id: string) => test.api.sessions.all.get(id)?.turns.map(({ messages }) => messages.at(-2)?.content);

async function answerWith(text: string, act: () => Promise<void>): Promise<void> {
  test.api.replies.push({ kind: "stream", deltas: [text] });
  await act();
  await waitForText(test.page, text);
  await waitForStatus(test.page, "done");
}

const regenerate = () => test.page.getByRole("button", { name: "Regenerate" }).click();
const step = (name: "Previous" | "Next", at = -1) =>
  test.page
    .getByRole("button", { name: `${name} version` })
    .nth(at)
    .click();

async function editMessage(index: number, text: string): Promise<void> {
  const { page } = test;
  await page.locator("article.user").nth(index).hover();
  await page.locator("article.user").nth(index).getByRole("button", { name: "Edit" }).click();
  await page.getByRole("textbox", { name: "Edit message" }).fill(text);
  await page.keyboard.press("Enter");
}

describe("versions of an answer", () => {
  it("are gone through, after a reload too, and each goes on in its own session", async () => {
    const { page, api } = test;
    await ask(page, "First");
    await answerWith("One", () => send(page, "Second"));
    expect(await page.getByRole("group", { name: "Versions" }).count()).toBe(0);
    await answerWith("Two", regenerate);
    await answerWith("Three", regenerate);
    await page.getByText("3 / 3").waitFor();
    // A fork for each: what is replaced is not taken from the session that has it.
    expect(["sess_1", "sess_2", "sess_3"].map(questions)).toEqual(Array(3).fill(["First", "Second"]));
    await step("Previous");
    await page.getByText("2 / 3").waitFor();
    expect(await textOf(page)).toBe("Two");
    await expect
      .poll(async () => {
        await page.reload();
        await inputOf(page).waitFor();
        return page.getByText("2 / 3").count();
      })
      .toBe(1);
    expect(await textOf(page)).toBe("Two");
    // The server's list has the branches' sessions, too: they are no conversations of their own.
    await expect.poll(() => api.calls.filter(({ path, method }) => path === "/v1/sessions" && method === "GET").length).toBeGreaterThan(1);
    expect(await page.locator("aside .row-title").allInnerTexts()).toEqual(["First"]);
    await ask(page, "On with two");
    expect(api.requests.at(-1)).toMatchObject({ session_id: "sess_2", messages: [{ role: "user", content: "On with two" }] });
    expect(questions("sess_2")).toEqual(["First", "Second", "On with two"]);
    await step("Next");
    expect(await answers()).toEqual(["Hello, world.", "Three"]);
    await step("Previous");
    expect(await bubbles()).toEqual(["First", "Second", "On with two"]);
    const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`)).toEqual([]);
  });

  it("keep the focus on the button, and stand still while an answer is written", async () => {
    const { page, api } = test;
    await answerWith("One", () => send(page, "Go"));
    await answerWith("Two", regenerate);
    await step("Previous");
    await page.getByText("1 / 2").waitFor();
    expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Previous version");
    api.replies.push({ kind: "stream", deltas: ["So far"], ending: "hang" });
    await send(page, "More");
    await waitForText(page, "So far");
    const next = page.getByRole("button", { name: "Next version" });
    expect(await next.getAttribute("aria-disabled")).toBe("true");
    await next.click({ force: true });
    expect(await answers()).toEqual(["One", "So far"]);
  });

  it("count no answer that failed before its first word", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "error", status: 503, body: { error: { message: "no room" } } });
    await send(page, "Go");
    await waitForStatus(page, "failed");
    await answerWith("One", () => page.getByRole("button", { name: "Try again" }).click());
    expect(await page.getByRole("group", { name: "Versions" }).count()).toBe(0);
  });
});

describe("versions of a message", () => {
  it("bring back what followed each of them", async () => {
    const { page } = test;
    await answerWith("A1", () => send(page, "Q1"));
    await answerWith("A2", () => send(page, "Q2"));
    await answerWith("B1", () => editMessage(0, "Q1, but better"));
    expect(await bubbles()).toEqual(["Q1, but better"]);
    await answerWith("B2", regenerate);
    expect(await page.getByText("2 / 2").count()).toBe(2);
    await step("Previous", 0);
    expect([await bubbles(), await answers()]).toEqual([
      ["Q1", "Q2"],
      ["A1", "A2"],
    ]);
    await step("Next", 0);
    // Of the two courses behind the edited message, the one that was left last.
    expect([await bubbles(), await answers()]).toEqual([["Q1, but better"], ["B2"]]);
    await step("Previous");
    expect(await answers()).toEqual(["B1"]);
  });

  it("are kept with an answer that was cut off by an edit", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["Half"], ending: "hang" });
    await send(page, "Question");
    await waitForText(page, "Half");
    await answerWith("Whole", () => editMessage(0, "Better question"));
    await step("Previous", 0);
    await waitForStatus(page, "stopped");
    expect([await bubbles(), await answers()]).toEqual([["Question"], ["Half"]]);
  });

  it("are deleted with their conversation, here and at the server", async () => {
    const { page, api } = test;
    await answerWith("One", () => send(page, "Topic"));
    await answerWith("Two", regenerate);
    expect([...api.sessions.all.keys()]).toEqual(["sess_1", "sess_2"]);
    await page.getByRole("button", { name: "Actions for “Topic”" }).click();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("button", { name: "Dismiss" }).click();
    await expect.poll(() => api.sessions.all.size).toBe(0);
  });
});

describe("versions without sessions", () => {
  it("send each course as it was", async () => {
    const { page, api } = test;
    api.keepsSessions = false;
    await answerWith("One", () => send(page, "Go"));
    await answerWith("Two", regenerate);
    await step("Previous");
    await ask(page, "On");
    expect(api.requests.at(-1)?.messages.map(({ content }) => content)).toEqual(["Go", "One", "On"]);
    expect(await answersOf(page).count()).toBe(2);
    await lastAnswer(page).waitFor();
  });
});
