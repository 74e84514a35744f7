import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Reply } from "./fake-api.ts";
import { model } from "./fake-sessions.ts";

export type StreamReply = Extract<Reply, { kind: "stream" }>;

/** An answer that runs on whoever reads it, and that can be read from any of its events. */
export class FakeStream {
  readonly id: string;
  /** What has been said so far. */
  text = "";
  finish: "stop" | "length" | "cancelled" | "failed" = "stop";
  ended = false;
  readonly #events: string[] = [];
  readonly #readers = new Set<() => void>();
  #stopped = false;

  constructor(id: string) {
    this.id = id;
  }

  /** Follows the script; ends early where it is stopped. */
  async run(reply: StreamReply): Promise<void> {
    const { deltas, intervalMs = 5, finishReason = "stop" } = reply;
    const usage = { prompt_tokens: 12, completion_tokens: deltas.length, ...reply.usage };
    for (const state of reply.reading ?? []) this.#add(chunk([choice({ content: "" })], { state }));
    await reply.readGate;
    for (const [index, content] of deltas.entries()) {
      await sleep(intervalMs);
      if (index === deltas.length - 1) await Promise.race([reply.gate, this.#untilStopped()]);
      if (this.#stopped) break;
      const placement = reply.placements?.[index];
      if (placement !== undefined) this.#add(chunk([choice({ content: "" })], { placement }));
      this.text += content;
      this.#add(chunk([choice({ content })], reply.states?.[index] === undefined ? {} : { state: reply.states[index] }));
    }
    if (reply.ending === "hang") await this.#untilStopped();
    if (typeof reply.ending === "object") {
      this.finish = "failed";
      this.#add({ error: reply.ending.error });
      this.#end();
      return;
    }
    this.finish = this.#stopped ? "cancelled" : finishReason;
    this.#add(chunk([choice({}, finishReason)]));
    this.#add(chunk([], { usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens } }));
    this.#end();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** Writes the events after this number and those to come; `cutAfter` breaks the connection after so many. */
  async pipe(response: ServerResponse, after: number, cutAfter = Infinity): Promise<void> {
    response.write(": keep-alive\n");
    let written = 0;
    const open = () => response.writable;
    for (let number = after; open(); number += 1) {
      while (number >= this.#events.length && !this.ended && open()) await this.#change(response);
      const event = this.#events[number];
      if (event === undefined) break;
      if (written++ >= cutAfter) {
        // Breaking the connection at once would also drop what is still on its way.
        await sleep(50);
        response.destroy();
        return;
      }
      response.write(`id: ${this.id}.${number + 1}\ndata: ${event}\n\n`);
    }
    response.end("data: [DONE]\n\n");
  }

  #add(event: object): void {
    this.#events.push(JSON.stringify(event));
    this.#wake();
  }

  #end(): void {
    this.ended = true;
    this.#wake();
  }

  #wake(): void {
    for (const reader of [...this.#readers]) reader();
  }

  #change(response?: ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#readers.delete(done);
        resolve();
      };
      this.#readers.add(done);
      response?.once("close", done);
    });
  }

  async #untilStopped(): Promise<void> {
    while (!this.#stopped) await this.#change();
  }
}

function choice(delta: object, reason: string | null = null): object {
  return { index: 0, delta, finish_reason: reason };
}

function chunk(choices: object[], more: object = {}): object {
  return { id: "chatcmpl-1", object: "chat.completion.chunk", model: model, choices, ...more };
}
