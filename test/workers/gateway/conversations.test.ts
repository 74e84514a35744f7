/** Conversations under OpenAI's names: their items, their end, and files of those that have function calls. */
import { beforeEach, describe, expect, test } from "vitest";
import { failure, request } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { ResponseClient, textOf, type Item, type ResponseObject } from "../support/response-client.ts";
import { assistant, oracle, user, type Message } from "../support/session-client.ts";

let alice = new ResponseClient();
beforeEach(() => {
  engine.use({});
  alice = new ResponseClient();
});

describe("conversations", () => {
  test("hold their responses' items, and are deleted as what they are", async () => {
    const made = await alice.call("POST", "/v1/conversations", { metadata: { of: "test" } });
    const conversation = await made.json<{ id: string; object: string; created_at: number; metadata: object }>();
    expect(conversation).toMatchObject({ object: "conversation", metadata: { of: "test" } });
    const path = `/v1/conversations/${conversation.id}`;
    const noted = await (await alice.call("POST", path, { metadata: { now: "other" } })).json();
    expect(noted).toEqual({ ...conversation, metadata: { now: "other" } });
    const nothing = await alice.call("POST", path, {});
    expect([nothing.status, (await failure(nothing)).param]).toEqual([400, "metadata"]);
    expect(await (await alice.call("GET", path)).json()).toEqual(noted);

    const messages: Message[] = [];
    const responses: ResponseObject[] = [];
    for (const input of ["One?", "Two?", "Three?"]) {
      const response = await alice.made({ input, conversation: conversation.id });
      expect(response).toMatchObject({ conversation: { id: conversation.id } });
      messages.push(user(input));
      expect(textOf(response)).toBe(await oracle(messages));
      messages.push(assistant(textOf(response)));
      responses.push(response);
    }
    const items = async (query: string) =>
      await (await alice.call("GET", `${path}/items?${query}`)).json<{ data: Item[]; has_more: boolean }>();
    const { data, has_more } = await items("order=asc&limit=100");
    expect(data.map(({ role, content }) => ({ role, content: content?.[0]?.text }))).toEqual(messages);
    expect(has_more).toBe(false);
    expect(data.filter((_item, at) => at % 2 === 1)).toEqual(responses.map(({ output }) => output[0]));
    for (const order of ["asc", "desc"]) {
      const walked: Item[] = [];
      for (let more = true; more;) {
        const page: { data: Item[]; has_more: boolean } = await items(
          `order=${order}&limit=2${walked.length === 0 ? "" : `&after=${walked.at(-1)?.id ?? ""}`}`,
        );
        walked.push(...page.data);
        more = page.has_more;
      }
      expect(walked).toEqual(order === "asc" ? data : data.toReversed());
    }
    expect(await (await alice.call("GET", `${path}/items/${data[2]?.id ?? ""}`)).json()).toEqual(data[2]);
    expect((await alice.call("GET", `${path}/items/msg_1`)).status).toBe(404);

    // What is said in a conversation stays when the response is not to be found any more.
    expect((await alice.call("DELETE", `/v1/responses/${responses[2]?.id ?? ""}`)).status).toBe(200);
    expect((await items("order=asc")).data).toEqual(data);
    expect(await (await alice.call("DELETE", path)).json()).toEqual({ id: conversation.id, object: "conversation.deleted", deleted: true });
    expect((await alice.call("GET", path)).status).toBe(404);
    expect((await alice.call("GET", `/v1/responses/${responses[0]?.id ?? ""}`)).status).toBe(404);
    const next = await alice.respond({ input: "Four?", conversation: conversation.id });
    expect([next.status, (await failure(next)).code]).toEqual([404, "conversation_not_found"]);
  });
});

describe("what has function calls", () => {
  test("is exported and imported with them", async () => {
    const input = [
      { type: "function_call", call_id: "call_1", name: "warmth", arguments: "{}" },
      { type: "function_call_output", call_id: "call_1", output: "31" },
    ];
    const { id } = await alice.create();
    const said = await alice.made({ input, conversation: id });
    const exported = await alice.call("POST", `/v1/sessions/${id}/export`, {});
    const file = await exported.arrayBuffer();
    expect(new DataView(file).getUint32(4, true)).toBe(2);
    const imported = await request("/v1/sessions/import", { method: "POST", headers: alice.headers, body: file });
    const copy = await imported.json<{ id: string }>();
    const turnsOf = async (session: string) =>
      (await (await alice.call("GET", `/v1/sessions/${session}/turns`)).json<{ data: { messages: object[] }[] }>()).data;
    expect((await turnsOf(copy.id)).map(({ messages }) => messages)).toEqual([
      [
        { role: "assistant", content: "", tool_calls: [{ id: "call_1", type: "function", function: { name: "warmth", arguments: "{}" } }] },
        { role: "tool", content: "31", tool_call_id: "call_1" },
        { role: "assistant", content: textOf(said) },
      ],
    ]);
    const next = { input: "And?", instructions: "Be brief." };
    expect(textOf(await alice.made({ ...next, conversation: copy.id }))).toBe(textOf(await alice.made({ ...next, conversation: id })));
  });
});
