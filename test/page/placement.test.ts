/** Where an answer ran: under it, live where it goes on elsewhere, and again after a reload. */
import { AxeBuilder } from "@axe-core/playwright";
import { beforeEach, describe, expect, it } from "vitest";
import { ask, lastAnswer, send, waitForStatus, waitForText } from "./support/chat-page.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage();
const engine = { backend: "engine", kind: "engine", from_token: 0 };
const replica = (backend: string, fromToken: number) => ({ backend, kind: "vllm", from_token: fromToken });
const notes = () => lastAnswer(test.page).locator(".placement li").allInnerTexts();

async function serve(card: object): Promise<void> {
  const { page, api } = test;
  api.card = card;
  await page.reload();
  await page.locator('.model[data-status="ready"]').waitFor();
}

describe("a server that says where answers run", () => {
  beforeEach(() => serve({ served_by: ["engine"] }));

  it.each([
    ["the engine", engine, "ran in the edge’s own engine"],
    ["a replica", replica("gpu-1", 0), "ran on the pool, replica gpu-1"],
  ])("is asked, and shown under the answer: %s", async (_name, placement, note) => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["One", " two"], placements: [placement, placement] });
    await ask(page, "Hello");
    expect(api.requests[0]).toMatchObject({ placement: true });
    expect(await notes()).toEqual([note]);
    // It begins where the answer's text does.
    const start = async (part: string) => (await lastAnswer(page).locator(part).first().boundingBox())?.x;
    expect(await start(".placement li")).toBe(await start("p"));
    const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`)).toEqual([]);
  });

  it("shows at once where the answer goes on elsewhere, tells it to screen readers, and knows it after a reload", async () => {
    const { page, api } = test;
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const deltas = ["One", " two", " three"];
    const placements = [replica("gpu-1", 0), replica("gpu-2", 1), undefined];
    api.replies.push({ kind: "stream", deltas, placements, gate, resumable: true, usage: { prompt_tokens: 5, completion_tokens: 3 } });
    await send(page, "Hello");
    await waitForText(page, "One two");
    const shown = ["ran on the pool, replica gpu-1", "went on at gpu-2 after 1 token"];
    expect(await notes()).toEqual(shown);
    await page.getByRole("status").filter({ hasText: "went on at gpu-2 after 1 token" }).waitFor();
    // Taken up in the middle, from an event before or after the one that said it.
    await page.reload();
    await waitForText(page, "One two");
    expect(await notes()).toEqual(shown);
    open();
    await waitForStatus(page, "done");
    expect(await notes()).toEqual(shown);
    await page.waitForTimeout(500);
    await page.reload();
    await waitForStatus(page, "done");
    expect(await notes()).toEqual(shown);
    await page.getByRole("button", { name: "Settings" }).click();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "中文" }).click();
    expect(await notes()).toEqual(["由资源池中的副本 gpu-1 运行", "1 个词元之后由 gpu-2 继续"]);
  });

  it("shows a fall back to the engine before the first text", async () => {
    const { page, api } = test;
    api.replies.push({ kind: "stream", deltas: ["One"], placements: [engine] });
    await ask(page, "Hello");
    api.replies.push({ kind: "stream", deltas: ["One", " two"], placements: [replica("gpu-1", 0), { ...engine, from_token: 1_234 }] });
    await ask(page, "Again");
    expect(await notes()).toEqual(["ran on the pool, replica gpu-1", "went on in the edge’s own engine after 1,234 tokens"]);
  });
});

it("is not asked of a server that does not say", async () => {
  const { page, api } = test;
  await ask(page, "Hello");
  expect(api.requests[0]).not.toHaveProperty("placement");
  expect(await page.locator(".placement").count()).toBe(0);
});
