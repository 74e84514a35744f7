import { beforeEach, describe, expect, test } from "vitest";
import { StopStringMatcher } from "../../../../../workers/session/answers/text/stop-strings.ts";
import { chat, chatChunks, contentOf } from "../../../support/gateway-client.ts";
import { engine } from "../../../support/gateway-worker.ts";
import { bytesAsTokens, idOf } from "../../../support/tiny-tokenizer.ts";

/** What a reader sees of a text that arrives cut at these lengths. */
function shown(text: string, stops: readonly string[], cut: number): { text: string; stop?: string } {
  const matcher = new StopStringMatcher(stops);
  let seen = "";
  for (let at = 0; at < text.length; at += cut) {
    const { text: safe, stop } = matcher.push(text.slice(at, at + cut));
    seen += safe;
    if (stop !== undefined) return { text: seen, stop };
  }
  return { text: seen + matcher.flush() };
}

describe("the matcher", () => {
  test.each<readonly [text: string, stops: string[], expected: string, stop: string | undefined]>([
    ["hello world", ["wor"], "hello ", "wor"],
    ["hello world", ["xyz"], "hello world", undefined],
    ["aab", ["ab"], "a", "ab"],
    ["aaab", ["aab"], "a", "aab"],
    ["abcabd", ["abd"], "abc", "abd"],
    ["one\n\ntwo", ["\n\n"], "one", "\n\n"],
    ["one\ntwo", ["\n\n"], "one\ntwo", undefined],
    ["stop", ["op", "sto"], "", "sto"],
    ["ends with st", ["stop"], "ends with st", undefined],
    ["你好世界", ["世界"], "你好", "世界"],
  ])("%j with stops %j shows %j", (text, stops, expected, stop) => {
    for (let cut = 1; cut <= text.length; cut++) expect(shown(text, stops, cut)).toEqual({ text: expected, stop });
  });

  test("agrees with a search of the whole text, whatever the cuts", () => {
    let state = 1;
    const random = (below: number) => (state = (state * 48271) % 2147483647) % below;
    for (let round = 0; round < 500; round++) {
      const word = (length: number) => Array.from({ length }, () => "ab"[random(2)]).join("");
      const text = word(1 + random(30));
      const stops = Array.from({ length: 1 + random(3) }, () => word(1 + random(4)));
      const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
      const first = Math.min(...found);
      const expected =
        found.length === 0 ? { text } : { text: text.slice(0, first), stop: stops.find((stop) => text.indexOf(stop) === first) };
      // One unit at a time, the earliest *completed* match wins; it never begins after the earliest beginning that a whole search finds.
      const result = shown(text, stops, text.length);
      expect(result).toEqual(expected);
      expect(shown(text, stops, 1).stop === undefined).toBe(found.length === 0);
    }
  });

  test("never shows what it would have to take back", () => {
    const matcher = new StopStringMatcher(["END"]);
    expect(matcher.push("the E")).toEqual({ text: "the " });
    expect(matcher.push("N")).toEqual({ text: "" });
    expect(matcher.push("X")).toEqual({ text: "ENX" });
    expect(matcher.push("END more")).toEqual({ text: "", stop: "END" });
  });
});

describe("over HTTP", () => {
  beforeEach(() => engine.use({ reply: [...bytesAsTokens("one "), idOf("hello"), idOf("Ġworld"), ...bytesAsTokens(" and more")] }));

  test("a stop string across tokens ends the answer, is left out of it, and its tokens are counted", async () => {
    const response = await chat({ stop: "lo wo" });
    expect(await response.json()).toMatchObject({
      choices: [{ message: { content: "one hel" }, finish_reason: "stop" }],
      usage: { completion_tokens: 6 },
    });
    expect(engine.generatedTokens).toBeLessThan(15);
  });

  test("the same in a stream, where no chunk holds a part of it", async () => {
    const chunks = await chatChunks(await chat({ stop: ["never", "lo wo"], stream: true, stream_options: { include_usage: true } }));
    expect(contentOf(chunks)).toBe("one hel");
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: 6 });
  });

  test("log-probabilities cover the text that is shown, and no token that begins in the stop string", async () => {
    const response = await chat({ stop: "lo wo", logprobs: true });
    const { choices } = await response.json<{ choices: { logprobs: { content: { token: string }[] } }[] }>();
    expect(choices[0]?.logprobs.content.map(({ token }) => token)).toEqual(["o", "n", "e", " ", "hello"]);
  });

  test("text that waited for the rest of a stop string is shown when the model ends", async () => {
    const chunks = await chatChunks(await chat({ stop: "more!", stream: true }));
    expect(contentOf(chunks)).toBe("one hello world and more");
  });

  test("min_tokens keeps a stop string from ending the answer too early", async () => {
    const response = await chat({ stop: "hello", min_tokens: 6 });
    expect(await response.json()).toMatchObject({ choices: [{ message: { content: "one hello world and more" } }] });
  });
});
