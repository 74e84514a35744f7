import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { model } from "./fake-sessions.ts";
import type { StreamReply } from "./fake-stream.ts";

/** An answer that ends with its connection, in every way that answers end. */
export async function writeStream(response: ServerResponse, reply: StreamReply): Promise<void> {
  const { deltas, intervalMs = 5, ending = "done", finishReason = "stop" } = reply;
  const usage = reply.usage ?? { prompt_tokens: 12, completion_tokens: deltas.length };
  const send = (choices: object[], more: object = {}) =>
    response.write(`data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", model: model, choices, ...more })}\n\n`);
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(": keep-alive\n");
  send([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]);
  for (const state of reply.reading ?? []) send([{ index: 0, delta: { content: "" }, finish_reason: null }], { state });
  await reply.readGate;
  for (const [index, content] of deltas.entries()) {
    await sleep(intervalMs);
    if (index === deltas.length - 1) await reply.gate;
    if (response.destroyed) return;
    const placement = reply.placements?.[index];
    if (placement !== undefined) send([{ index: 0, delta: { content: "" }, finish_reason: null }], { placement });
    const [spikes, state] = [reply.spikes?.[index], reply.states?.[index]];
    const more = { ...(spikes === undefined ? {} : { spikes }), ...(state === undefined ? {} : { state }) };
    send([{ index: 0, delta: { content }, finish_reason: null }], more);
  }
  if (ending === "hang") return;
  if (ending === "reset") {
    // Breaking the connection at once would also drop what is still on its way.
    await sleep(100);
    response.destroy();
    return;
  }
  if (typeof ending === "object") {
    response.end(`data: ${JSON.stringify({ error: ending.error })}\n\n`);
    return;
  }
  if (ending === "done") {
    send([{ index: 0, delta: {}, finish_reason: finishReason }]);
    send([], { usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens } });
    response.write("data: [DONE]\n\n");
  }
  response.end();
}
