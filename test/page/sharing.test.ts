/** Links, files, documents and keys: what a conversation's memory is good for beyond one browser. */
import { readFile } from "node:fs/promises";
import { AxeBuilder } from "@axe-core/playwright";
import { describe, expect, it } from "vitest";
import { ask, inputOf, send, textOf, waitForStatus, waitForText } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage({ keepsSessions: true });

async function violations(): Promise<string[]> {
  const found = await new AxeBuilder({ page: test.page }).setLegacyMode(true).analyze();
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

describe("a link", () => {
  it("is made, copied, shown to strangers, continued by them, and revoked", async () => {
    const { page, api, context } = test;
    await ask(page, "What is shared?");
    await page.getByRole("button", { name: "Share", exact: true }).click();
    await page.getByLabel("The link works for").selectOption("a day");
    await page.getByRole("button", { name: "Make a link" }).click();
    await page.getByRole("button", { name: "Copy the link" }).click();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    expect(link).toBe(`${api.url}/#share=share_1`);
    expect(api.calls.at(-1)).toMatchObject({ path: "/v1/sessions/sess_1/share", body: { expires_in: 86_400 } });
    expect(await violations()).toEqual([]);

    const stranger = await context.browser()?.newContext({ locale: "en-US" });
    const visit = await stranger?.newPage();
    if (visit === undefined) throw new Error("the browser has closed");
    await visit.goto(link);
    await visit.getByText("Hello, world.").waitFor();
    expect(await visit.locator('meta[name="robots"]').getAttribute("content")).toBe("noindex");
    expect(await inputOf(visit).count()).toBe(0);
    await visit.getByRole("button", { name: "Continue in a conversation of my own" }).click();
    await ask(visit, "And now?");
    expect(new URL(visit.url()).hash).toBe("");
    expect(api.requests.at(-1)).toMatchObject({ session_id: "sess_2", messages: [{ role: "user", content: "And now?" }] });
    expect(api.sessions.all.get("sess_1")?.turns).toHaveLength(1);

    await page.getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("list", { name: "Links" }).getByRole("listitem").waitFor({ state: "detached" });
    await visit.goto("about:blank");
    await visit.goto(link);
    await visit.getByText("This link shows nothing any more").waitFor();
    await stranger?.close();
  });
});

describe("a file", () => {
  it("is exported under a passphrase and imported with it, not without", async () => {
    const { page } = test;
    await ask(page, "Keep this");
    await page.getByRole("button", { name: "Actions for “Keep this”" }).click();
    await page.getByRole("button", { name: "Export with its memory…" }).click();
    await page.getByLabel("Passphrase").fill("open 门");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export", exact: true }).click(),
    ]);
    expect(download.suggestedFilename()).toBe("Keep this.sbsf");
    const buffer = await readFile(await download.path());

    await page.getByRole("button", { name: "Import a conversation" }).click();
    await page.getByLabel("File", { exact: true }).setInputFiles({ name: "kept.sbsf", mimeType: "application/octet-stream", buffer });
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await page.getByText("The passphrase is wrong, or another key has sealed it.").waitFor();
    expect(await violations()).toEqual([]);
    await page.getByLabel("Passphrase").fill("open 门");
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await waitForText(page, "All of it.");
    expect(await page.getByRole("heading", { level: 1 }).innerText()).toBe("Imported");
  });
});

describe("a document", () => {
  const text = "Line of the document.\n".repeat(30_000);
  const file = { name: "book.txt", mimeType: "text/plain", buffer: Buffer.from(text) };

  it("is sent in chunks, read, and asked about in several conversations", async () => {
    const { page, api } = test;
    const { promise: gate, resolve: readOn } = Promise.withResolvers<undefined>();
    api.contexts.readGate = gate;
    await page.getByRole("button", { name: "Documents" }).click();
    await page.getByLabel("Choose a text file").setInputFiles(file);
    await page.getByText("Reading: 82,500 of 165,000 tokens").waitFor();
    expect(await page.getByRole("progressbar", { name: "Progress of “book.txt”" }).getAttribute("value")).toBe("0.5");
    expect(await violations()).toEqual([]);
    readOn(undefined);
    await page.getByText("Read: 165,000 tokens").waitFor();
    expect(api.contexts.offsets).toEqual([0, 262_144, 524_288]);
    expect(api.sessions.all.get("ctx_1")?.text).toBe(text);
    for (const session of ["sess_2", "sess_3"]) {
      if (session === "sess_3") await page.getByRole("button", { name: "Documents" }).click();
      await page.getByRole("button", { name: "Ask about it" }).click();
      await page.getByRole("heading", { name: "Ask about “book.txt”" }).waitFor();
      await ask(page, "What is it about?");
      await page.getByText("About “book.txt”").waitFor();
      expect(api.requests.at(-1)).toMatchObject({ session_id: session, messages: [{ role: "user", content: "What is it about?" }] });
      expect(api.sessions.all.get(session)?.parent).toEqual({ session_id: "ctx_1", turn: 0 });
    }
  });

  it("is told of before its conversation is shared, and where it is read", async () => {
    const { page, api } = test;
    await page.getByRole("button", { name: "Documents" }).click();
    await page.getByLabel("Choose a text file").setInputFiles(file);
    await page.getByRole("button", { name: "Ask about it" }).click();
    await ask(page, "What is it about?");
    await page.getByRole("button", { name: "Share", exact: true }).click();
    await page.getByText("It is about “book.txt”. The link carries that document, too: whoever has the link can read its text").waitFor();
    expect(await violations()).toEqual([]);
    // As the server shows it: the document is turn 0.
    api.sessions.all
      .get("sess_2")
      ?.turns.unshift({ number: 0, messages: [{ role: "system", content: text.slice(0, 100) }], finish: "stop" });
    await page.getByRole("button", { name: "Make a link" }).click();
    await page.getByRole("button", { name: "Copy the link" }).click();
    const link = await page.evaluate(() => navigator.clipboard.readText());
    await page.keyboard.press("Escape");
    await page.goto("about:blank");
    await page.goto(link);
    await page.getByText("It is about a document that begins with “Line of the document.").waitFor();
    await page.getByText("What the model remembers of it is shared with the conversation.").waitFor();
    expect(await violations()).toEqual([]);
  });

  it("is not said to be remembered whole by a model that forgets", async () => {
    const { page, api } = test;
    await page.getByRole("button", { name: "Documents" }).click();
    await page.getByText("This model remembers all of it; it must fit into the model’s context.").waitFor();
    api.card = { state: { bytes: 14_000_000, constant: true, full_attention_bytes_per_token: 12_240 } };
    await page.reload();
    await page.locator('.model[data-status="ready"]').waitFor();
    await page.getByRole("button", { name: "Documents" }).click();
    await page.getByText("It may be of any length, but is not remembered whole").waitFor();
    expect(await page.getByRole("dialog").innerText()).not.toContain("all of it");
  });

  it("goes on after a cut and after a reload from where it was", async () => {
    const { page, api } = test;
    api.contexts.cutAfterChunks = 2;
    await page.getByRole("button", { name: "Documents" }).click();
    await page.route("**/text?offset=524288*", (route) => route.abort("connectionrefused"));
    await page.getByLabel("Choose a text file").setInputFiles(file);
    await page.getByText("Sending: 524 kB of 660 kB").waitFor();
    await page.reload();
    await page.unroute("**/text?offset=524288*");
    await page.getByRole("button", { name: "Documents" }).click();
    await page.getByText("Read: 165,000 tokens").waitFor();
    expect(api.sessions.all.get("ctx_1")?.text).toBe(text);
  });

  it("is made of a long draft, or of a dropped file; an empty one is refused", async () => {
    const { page, api } = test;
    await inputOf(page).fill("word ".repeat(2000));
    await page.getByRole("button", { name: "Make it a document" }).click();
    await page.getByRole("button", { name: "Add the text" }).click();
    await page.getByText("Pasted text", { exact: true }).waitFor();
    await expect.poll(() => api.sessions.all.get("ctx_1")?.text).toBe("word ".repeat(2000));
    expect(await inputOf(page).inputValue()).toBe("");
    await page.evaluate(() => {
      // What Esc does. The file comes before the browser has told that the dialog is closed: the panel must stay open for it.
      document.querySelector("dialog")?.requestClose();
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([""], "nothing.txt"));
      for (const type of ["dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    });
    await page.getByText("This file is empty").waitFor();
  });
});

describe("a key", () => {
  it("is asked for where the server knows its own only, and kept", async () => {
    const { page, api } = test;
    api.onlyKey = "sk-mine";
    await page.reload();
    await page.getByText("This server asks for a key.").waitFor();
    await send(page, "Hello");
    await waitForStatus(page, "failed");
    expect(await page.getByRole("alert").innerText()).toContain("The server does not know this key");
    await page.getByRole("alert").getByRole("button", { name: "Enter a key" }).click();
    await page.getByLabel("Key", { exact: true }).fill("sk-mine");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    await page.locator('.model[data-status="ready"]').waitFor();
    await page.getByRole("button", { name: "Try again" }).click();
    await waitForStatus(page, "done");
    await page.reload();
    await waitForStatus(page, "done");
    await ask(page, "Again");
    expect(await textOf(page)).toBe("Hello, world.");
  });
});
