import { describe, expect, it } from "vitest";
import { ask, inputOf, lastAnswer, send, waitForStatus } from "./support/chat-page.ts";
import type { Reply } from "./support/fake-api.ts";
import { usePage } from "./support/page-test.ts";

const test = usePage();

function refusal(status: number, code: string, message: string, headers: Record<string, string> = {}): Reply {
  return { kind: "error", status, body: { error: { message, type: "invalid_request_error", code, param: null } }, headers };
}

async function sendAndReadAlert(reply: Reply): Promise<string> {
  test.api.replies.push(reply);
  await send(test.page, "Go");
  await waitForStatus(test.page, "failed");
  return test.page.getByRole("alert").innerText();
}

describe("failures before the first byte", () => {
  it("shows the server's own message for a refused request", async () => {
    const alert = await sendAndReadAlert(refusal(400, "invalid_request", "temperature must be at most 2; got 9"));
    expect(alert).toContain("The server refused the request");
    expect(alert).toContain("temperature must be at most 2; got 9");
    expect(alert).toContain("HTTP 400");
  });

  it("gives advice when the context is full", async () => {
    const alert = await sendAndReadAlert(refusal(400, "context_length_exceeded", "the prompt has 2,100 tokens; at most 2,048 fit"));
    expect(alert).toContain("too long for this model");
    expect(alert).toContain("2,100 tokens");
    expect(alert).toContain("Start a new chat");
  });

  it("says how long a busy server asks to wait, counts down, and tries again on demand", async () => {
    const { page, api } = test;
    const alert = await sendAndReadAlert(refusal(503, "overloaded", "no room for another conversation", { "retry-after": "30" }));
    expect(alert).toContain("The server is busy");
    expect(alert).toMatch(/wait (30|29) s/);
    await page.getByText(/wait 2[0-8] s/).waitFor();
    await page.getByRole("button", { name: "Try again" }).click();
    await waitForStatus(page, "done");
    expect(api.requests).toHaveLength(2);
    expect(api.requests[1]).toEqual(api.requests[0]);
    expect(await page.getByRole("alert").count()).toBe(0);
  });

  it("takes an answer that is not the API's at all", async () => {
    const alert = await sendAndReadAlert({ kind: "error", status: 502, body: "<html><script>alert(1)</script>Bad gateway</html>" });
    expect(alert).toContain("The server failed");
    expect(alert).toContain("HTTP 502");
  });

  it("sends nothing while the browser is offline, says why, and keeps the draft for later", async () => {
    const { page, context, api } = test;
    await ask(page, "First");
    await context.setOffline(true);
    await page.getByText("You are offline. Your conversations are still here.").waitFor();
    await inputOf(page).fill("Are you there?");
    await page.keyboard.press("Enter");
    await page.getByText("You are offline: messages can be sent once the network is back.").waitFor();
    expect(await page.getByRole("button", { name: "Send" }).isDisabled()).toBe(true);
    expect(await page.getByRole("button", { name: "Regenerate" }).isDisabled()).toBe(true);
    expect(await inputOf(page).inputValue()).toBe("Are you there?");
    await context.setOffline(false);
    await page.getByText("You are offline").first().waitFor({ state: "detached" });
    await page.keyboard.press("Enter");
    await expect.poll(() => api.requests.map((request) => request.messages.at(-1)?.content)).toEqual(["First", "Are you there?"]);
    await waitForStatus(page, "done");
  });

  it("says that the server cannot be reached", async () => {
    const { page } = test;
    await page.route("**/v1/chat/completions", (route) => route.abort("connectionrefused"));
    await send(page, "Go");
    await waitForStatus(page, "failed");
    expect(await page.getByRole("alert").innerText()).toContain("could not be reached");
  });

  it("finds the model later when it was not there at first", async () => {
    const { page } = test;
    await page.route("**/v1/models", (route) => route.fulfill({ status: 503, json: { error: { message: "loading" } } }));
    await page.reload();
    await page.getByText("Not connected").waitFor();
    await page.unroute("**/v1/models");
    await ask(page, "Go");
    expect(await page.getByText("Not connected").count()).toBe(0);
  });
});

describe("failures after the first byte keep what had arrived", () => {
  it.each([
    ["an error event", { error: { message: "the engine lost its state", code: "engine_unavailable" } }, "the engine lost its state"],
    ["an end without [DONE]", "cut", "The answer broke off"],
    ["a broken connection", "reset", "could not be reached"],
  ] as const)("%s", async (_name, ending, words) => {
    const { page, api } = test;
    const alert = await sendAndReadAlert({ kind: "stream", deltas: ["The beginning ", "of an answer"], ending });
    expect(alert).toContain(words);
    expect(await lastAnswer(page).locator(".markdown").innerText()).toBe("The beginning of an answer");
    await page.getByRole("button", { name: "Try again" }).click();
    await waitForStatus(page, "done");
    expect(api.requests[1]?.messages).toEqual([{ role: "user", content: "Go" }]);
  });

  it("reports a chunk that cannot be read", async () => {
    await test.page.route("**/v1/chat/completions", (route) =>
      route.fulfill({ contentType: "text/event-stream", body: 'data: {"choices":[{"delta":{"content":"Begun"}}]}\n\ndata: {oops\n\n' }),
    );
    await send(test.page, "Go");
    await waitForStatus(test.page, "failed");
    expect(await test.page.getByRole("alert").innerText()).toContain("could not be read");
    expect(await lastAnswer(test.page).innerText()).toContain("Begun");
  });

  it("goes on after a failure, sending what had arrived", async () => {
    const { page, api } = test;
    await sendAndReadAlert({ kind: "stream", deltas: ["Part"], ending: "cut" });
    await inputOf(page).fill("Continue");
    await page.keyboard.press("Enter");
    await waitForStatus(page, "done");
    expect(api.requests[1]?.messages.map((message) => message.content)).toEqual(["Go", "Part", "Continue"]);
  });
});
