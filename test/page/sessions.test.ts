/** Conversations whose memory the server keeps. */
import { describe, expect, it } from "vitest";
import { answersOf, ask, lastAnswer, send, textOf, waitForStatus, waitForText } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage({ keepsSessions: true });
const rows = () => test.page.locator("aside .row-title");
const session = (id = "sess_1") => test.api.sessions.all.get(id);
const questions = (id?: string) => session(id)?.turns.map(({ messages }) => messages.at(-2)?.content);

describe("a session", () => {
  it("is made by the first message, and then sent only what is new", async () => {
    const { page, api } = test;
    await ask(page, "First");
    await ask(page, "Second");
    expect(api.calls.find(({ method }) => method === "POST")).toMatchObject({ path: "/v1/sessions", body: { name: "First" } });
    expect(api.requests).toMatchObject([
      { session_id: "sess_1", messages: [{ role: "user", content: "First" }] },
      { session_id: "sess_1", messages: [{ role: "user", content: "Second" }] },
    ]);
    expect([...api.keys]).toEqual([expect.stringMatching(/^sk-visitor-[0-9a-f]{32}$/)]);
    await page.getByText("· kept at the edge").waitFor();
  });

  it("says what was remembered and what was read", async () => {
    const { page, api } = test;
    const usage = { prompt_tokens: 1222, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1204 } };
    api.replies.push({ kind: "stream", deltas: ["So ", "soon"], usage, cache: 'hit; tokens=1204; reason="at the edge"' });
    await ask(page, "Again");
    expect(await lastAnswer(page).locator(".speed").innerText()).toMatch(/^remembered 1,204 tokens, read 18 new\s*[\d.]+ s to first token/);
  });

  it("leaves what it had to answer again in a fork, and goes back to the beginning for another system prompt", async () => {
    const { page, api } = test;
    await ask(page, "First");
    await ask(page, "Second");
    await page.getByRole("button", { name: "Regenerate" }).click();
    await expect.poll(() => questions("sess_2")).toEqual(["First", "Second"]);
    await waitForStatus(page, "done");
    expect(api.calls.findLast(({ method }) => method === "POST")).toMatchObject({ path: "/v1/sessions/sess_1/fork", body: { turn: 1 } });
    expect(questions()).toEqual(["First", "Second"]);
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByRole("textbox", { name: "System prompt" }).fill("Be brief.");
    await page.keyboard.press("Escape");
    await ask(page, "Third");
    expect(api.requests.at(-1)?.messages.map(({ content }) => content)).toEqual([
      "Be brief.",
      "First",
      "Hello, world.",
      "Second",
      "Hello, world.",
      "Third",
    ]);
    expect(api.calls.findLast(({ method }) => method === "POST")).toMatchObject({ path: "/v1/sessions/sess_2/rewind", body: { turn: 0 } });
    expect(session("sess_2")?.turns).toHaveLength(1);
  });

  it("is forked from any answer, and both go on by themselves", async () => {
    const { page, api } = test;
    for (const question of ["First", "Second"]) await ask(page, question);
    await answersOf(page).first().getByRole("button", { name: "Fork from here" }).click();
    await expect.poll(() => answersOf(page).count()).toBe(1);
    await ask(page, "Other");
    expect(api.requests.at(-1)).toMatchObject({ session_id: "sess_2", messages: [{ role: "user", content: "Other" }] });
    expect([questions("sess_1"), questions("sess_2")]).toEqual([
      ["First", "Second"],
      ["First", "Other"],
    ]);
    await page.getByRole("img", { name: "A fork" }).waitFor();
  });

  it("that is gone is replaced, and the whole conversation is read again", async () => {
    const { page, api } = test;
    await ask(page, "First");
    api.sessions.all.delete("sess_1");
    await ask(page, "Second");
    expect(api.requests.at(-1)).toMatchObject({ session_id: "sess_2" });
    expect(api.requests.at(-1)?.messages.map(({ content }) => content)).toEqual(["First", "Hello, world.", "Second"]);
  });

  it("that is busy elsewhere leaves the turn to a fork, which the conversation goes on with", async () => {
    const { page, api } = test;
    await ask(page, "First");
    api.sessions.all.set("sess_1", Object.assign({}, session(), { running: { id: "edge00-9" } }));
    await ask(page, "Second");
    await ask(page, "Third");
    expect(api.requests.at(-1)).toMatchObject({ session_id: "sess_2", messages: [{ content: "Third" }] });
  });

  it("is given to a conversation that began without one", async () => {
    const { page, api } = test;
    api.keepsSessions = false;
    await ask(page, "First");
    api.keepsSessions = true;
    await ask(page, "Second");
    await ask(page, "Third");
    expect(api.requests.map(({ messages }) => messages.map(({ content }) => content))).toEqual([
      ["First"],
      ["First", "Hello, world.", "Second"],
      ["Third"],
    ]);
  });
});

describe("an answer that fails", () => {
  it("is kept as far as it came where the server has kept it, and goes on from there", async () => {
    const { page, api } = test;
    api.replies.push({
      kind: "stream",
      deltas: ["Part"],
      ending: { error: { message: "the engine stopped", code: "engine_unavailable" } },
    });
    await send(page, "Go");
    await page.getByRole("alert").getByText("the engine stopped").waitFor();
    await ask(page, "Continue");
    expect(api.requests.at(-1)?.messages).toEqual([{ role: "user", content: "Continue" }]);
    expect(questions()).toEqual(["Go", "Continue"]);
  });

  it("and was not kept there begins the session anew", async () => {
    const { page, api } = test;
    await ask(page, "First");
    api.replies.push({
      kind: "stream",
      deltas: ["Part"],
      ending: { error: { message: "the engine stopped", code: "engine_unavailable" } },
    });
    await send(page, "Go");
    await page.getByRole("alert").waitFor();
    await expect.poll(() => session()?.turns.length).toBe(2);
    session()?.turns.pop();
    // What the server has is what its list says after the reload.
    await Promise.all([page.waitForResponse((response) => response.url().includes("/v1/sessions?")), page.reload()]);
    await page.getByRole("alert").waitFor();
    await ask(page, "Continue");
    expect(api.requests.at(-1)?.messages.map(({ content }) => content)).toEqual(["First", "Hello, world.", "Go", "Part", "Continue"]);
  });
});

describe("a message sent right after a reload, before the server has said what it has", () => {
  /** The list of sessions is on its way for as long as the test runs. */
  async function reloadWithoutList(): Promise<void> {
    const { page } = test;
    await page.route("**/v1/sessions?*", () => undefined);
    await page.reload();
    await waitForText(page, "Hello, world.");
  }

  it("does not go to a session that has fewer turns than this browser knew", async () => {
    const { page, api } = test;
    for (const question of ["First", "Second"]) await ask(page, question);
    session()?.turns.pop();
    await reloadWithoutList();
    await ask(page, "Third");
    const sent = ["First", "Hello, world.", "Second", "Hello, world.", "Third"];
    expect(api.requests.at(-1)).toMatchObject({ session_id: "sess_2", messages: sent.map((content) => ({ content })) });
  });

  it("goes on in a session that is as this browser knew it", async () => {
    const { page, api } = test;
    for (const question of ["First", "Second"]) await ask(page, question);
    await reloadWithoutList();
    await ask(page, "Third");
    expect(api.requests.at(-1)).toMatchObject({ session_id: "sess_1", messages: [{ content: "Third" }] });
    expect(questions()).toEqual(["First", "Second", "Third"]);
  });
});

describe("the list", () => {
  it("has the server's sessions, and loads what it does not know", async () => {
    const { page, api } = test;
    await ask(page, "Here");
    const [key] = api.keys;
    const other = api.sessions.create(key ?? "", "session", "From elsewhere");
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "There?" },
      { role: "assistant", content: "Yes, *there*." },
    ];
    other.turns.push({ number: 1, messages, finish: "stop" });
    await page.reload();
    await rows().getByText("From elsewhere").click();
    await waitForText(page, "Yes, there.");
    await ask(page, "More");
    expect(api.requests.at(-1)).toMatchObject({ session_id: other.id, messages: [{ role: "user", content: "More" }] });
  });

  it("renames and deletes at the server, also what was deleted just before the page closed", async () => {
    const { page, api } = test;
    for (const title of ["One", "Two"]) {
      await page.getByRole("button", { name: "New chat" }).first().click();
      await ask(page, title);
    }
    await chooseAction("Two", "Rename");
    await page.getByRole("textbox", { name: "Name of the conversation" }).fill("Better");
    await page.keyboard.press("Enter");
    await expect.poll(() => session("sess_2")?.name).toBe("Better");
    await chooseAction("One", "Delete");
    expect(api.sessions.all.has("sess_1")).toBe(true);
    await page.reload();
    await expect.poll(() => api.sessions.all.has("sess_1")).toBe(false);
    expect(await rows().allInnerTexts()).toEqual(["Better"]);
  });
});

describe("a stream", () => {
  it("goes on after a reload without a gap or a repeat", async () => {
    const { page, api } = test;
    const { promise: gate, resolve: goOn } = Promise.withResolvers<undefined>();
    api.replies.push({ kind: "stream", deltas: ["One ", "two ", "three ", "four"], gate });
    await send(page, "Count");
    await waitForText(page, "One two three");
    await page.reload();
    await waitForText(page, "One two three");
    await waitForStatus(page, "streaming");
    goOn(undefined);
    await waitForStatus(page, "done");
    expect(await textOf(page)).toBe("One two three four");
    expect(await lastAnswer(page).locator(".speed").innerText()).toContain("continued after a break");
    await ask(page, "Next");
    expect(api.requests.at(-1)?.messages).toEqual([{ role: "user", content: "Next" }]);
  });

  it("goes on by itself after a lost connection", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["One ", "two ", "three"], cutAfter: 2 });
    await ask(page, "Count");
    expect(await textOf(page)).toBe("One two three");
    expect(await page.getByRole("alert").count()).toBe(0);
  });

  it("that the server has let go of is read from the session instead", async () => {
    const { page, api } = test;
    const { promise: gate, resolve: goOn } = Promise.withResolvers<undefined>();
    api.replies.push({ kind: "stream", deltas: ["One ", "two"], gate });
    await send(page, "Count");
    await waitForText(page, "One");
    await page.goto("about:blank");
    goOn(undefined);
    await expect.poll(() => session()?.turns.length).toBe(1);
    api.streams.clear();
    await page.goto(api.url);
    await waitForStatus(page, "done");
    expect(await textOf(page)).toBe("One two");
  });

  it("is stopped at the server, which keeps what was said", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["Half an "], ending: "hang" });
    await send(page, "Go");
    await waitForText(page, "Half an");
    await page.getByRole("button", { name: "Stop" }).click();
    await waitForStatus(page, "stopped");
    expect(session()?.turns[0]?.messages.at(-1)).toEqual({ role: "assistant", content: "Half an " });
    await ask(page, "Go on");
    expect(api.requests.at(-1)?.messages).toEqual([{ role: "user", content: "Go on" }]);
  });
});

async function chooseAction(title: string, action: string): Promise<void> {
  await test.page.getByRole("button", { name: `Actions for “${title}”` }).click();
  await test.page.getByRole("button", { name: action, exact: true }).click();
}
