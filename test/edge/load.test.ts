import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { complete, completionText, modelId, stackUrl, streamedText } from "../support/edge-client.ts";

const prompts = ["Once upon a time", "The sea is", "My favourite food", "To build a house, you", "In the year 2100,"];
/** Half of them greedy, half sampled: a seed must give the same text whatever else runs. */
const variants = prompts.flatMap((prompt, at) => [
  { prompt, max_tokens: 16, ignore_eos: true },
  { prompt, max_tokens: 16, ignore_eos: true, temperature: 1, seed: at },
]);
const alone: string[] = [];

beforeAll(async () => {
  for (const variant of variants) alone.push(await completionText(variant));
});

test("50 streams at once all end, each with the text it has alone", async () => {
  const results = await Promise.all(Array.from({ length: 50 }, (_unused, at) => streamedText(variants[at % variants.length] ?? {})));
  expect(results).toEqual(results.map((_text, at) => alone[at % alone.length]));
});

test("200 clients that vanish cost the next one nothing but patience", async () => {
  const vanish = async (at: number): Promise<string> => {
    const client = new AbortController();
    const left = delay(500).then(() => {
      client.abort();
    });
    try {
      const response = await complete({ ...variants[at % variants.length], max_tokens: 500, stream: true }, client.signal);
      await response.text();
      return "answered";
    } catch {
      return "vanished";
    } finally {
      await left;
    }
  };
  const outcomes = await Promise.all(Array.from({ length: 200 }, (_unused, at) => vanish(at)));
  expect(outcomes.filter((outcome) => outcome === "vanished").length).toBeGreaterThan(150);
  expect(await completionText(variants[0] ?? {})).toBe(alone[0]);
});

/** Sends a request by hand and reads nothing of the answer until it is told to. */
function slowReader(body: object): { readAll: () => Promise<string>; close: () => void } {
  const { hostname, port } = new URL(stackUrl);
  const socket = connect(Number(port), hostname);
  socket.pause();
  const text = JSON.stringify(body);
  socket.write(
    `POST /v1/completions HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  );
  return {
    close: () => socket.destroy(),
    readAll: () =>
      new Promise((resolve, reject) => {
        let received = "";
        socket.on("data", (chunk: Buffer) => (received += chunk.toString("utf8")));
        socket.once("end", () => resolve(received));
        socket.once("error", reject);
        socket.resume();
      }),
  };
}

test("a reader that is slow holds up nobody, and still gets everything", async () => {
  const body = { model: modelId, prompt: "Once upon a time", max_tokens: 200, ignore_eos: true, logprobs: 20, stream: true };
  const slow = slowReader(body);
  try {
    expect(await completionText(variants[1] ?? {})).toBe(alone[1]);
    await delay(1000);
    const received = await slow.readAll();
    expect(received.slice(-300)).toContain("data: [DONE]\n\n");
    expect(received.match(/"token_logprobs":\[-/g)?.length).toBeGreaterThan(150);
  } finally {
    slow.close();
  }
});
