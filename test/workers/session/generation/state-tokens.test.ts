/** A backend that reads whole texts is told the tokens of a state that it is handed: in a conversation that is repeated, and in a session. */
import { beforeEach, expect, test } from "vitest";
import { engine } from "../../support/gateway-worker.ts";
import { assistant, greedy, SessionClient, user } from "../../support/session-client.ts";
import { json, request } from "../../support/gateway-client.ts";

const question = "Ships in harbours, and what they carry.";

beforeEach(() => engine.use({ asksTokens: true }));

/** What the last request's state has read, and then its prompt. */
const lastText = () => [...(engine.toldTokens.at(-1) ?? []), ...(engine.calls.at(-1)?.prompt ?? [])];

test("a turn of a session", async () => {
  const alice = new SessionClient();
  const { id } = await alice.create();
  const first = await alice.say(id, question);
  const begun = [...(engine.calls[0]?.prompt ?? [])];
  await alice.say(id, "And then?");
  expect(engine.calls.at(-1)?.resume?.tokens).toBe(engine.toldTokens.at(-1)?.length);
  const { text } = first;
  expect(lastText().slice(0, begun.length)).toEqual(begun);
  // The same conversation, sent whole by somebody without a key, is read from the same tokens.
  const messages = [user(question), assistant(text), user("And then?")];
  const resumed = lastText();
  await request("/v1/chat/completions", json({ ...greedy, messages }));
  expect([...(engine.calls.at(-1)?.prompt ?? [])]).toEqual(resumed);
});

test("a conversation that its client sends again", async () => {
  const headers = { authorization: `Bearer sk-${crypto.randomUUID()}` };
  const ask = async (messages: readonly object[]) => {
    const answer = await request("/v1/chat/completions", json({ ...greedy, messages }, headers));
    return (await answer.json<{ choices: { message: { content: string } }[] }>()).choices[0]?.message.content ?? "";
  };
  const said = await ask([user(question)]);
  const messages = [user(question), assistant(said), user("And then?")];
  await ask(messages);
  expect(engine.toldTokens).toHaveLength(1);
  const resumed = lastText();
  await request("/v1/chat/completions", json({ ...greedy, messages }));
  expect([...(engine.calls.at(-1)?.prompt ?? [])]).toEqual(resumed);
});
