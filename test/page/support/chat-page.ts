import type { Locator, Page } from "playwright-core";

/** The page in a reader's words. */
export function inputOf(page: Page): Locator {
  return page.getByRole("textbox", { name: "Message", exact: true });
}

export function answersOf(page: Page): Locator {
  return page.locator("article.answer");
}

export function lastAnswer(page: Page): Locator {
  return answersOf(page).last();
}

/** Sends a message and leaves the answer running. */
export async function send(page: Page, text: string): Promise<void> {
  await inputOf(page).fill(text);
  await page.keyboard.press("Enter");
}

export async function waitForStatus(page: Page, status: "waiting" | "streaming" | "done" | "stopped" | "failed"): Promise<void> {
  await page.locator(`article.answer[data-status="${status}"]`).last().waitFor();
}

/** Sends a message and waits for the whole answer to it. */
export async function ask(page: Page, text: string): Promise<void> {
  const earlier = await answersOf(page).count();
  await send(page, text);
  await page.locator(`article.answer >> nth=${earlier}`).and(page.locator('[data-status="done"]')).waitFor();
}

/** The shown text of the last answer. */
export function textOf(page: Page): Promise<string> {
  return lastAnswer(page).locator(".markdown").innerText();
}

/** Sends nothing and fails nothing: until a stream has moved on, there is only its visible text to wait for. */
export async function waitForText(page: Page, text: string): Promise<void> {
  await lastAnswer(page).getByText(text).first().waitFor();
}
