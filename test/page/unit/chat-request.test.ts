import { describe, expect, it } from "vitest";
import { chatMessages, chatRequest } from "../../../workers/page/src/api/chat-request.ts";
import { defaultSettings, numberRules, parseNumberSetting } from "../../../workers/page/src/state/settings.ts";

const emptyRequest = {
  ...defaultSettings,
  temperature: null,
  topP: null,
  repetitionPenalty: null,
  maxTokens: null,
};

describe("chat request", () => {
  it("puts the system prompt first and leaves out answers that never began", () => {
    const turns = [
      { role: "user", text: "a" },
      { role: "assistant", text: "" },
      { role: "user", text: "b" },
    ] as const;
    expect(chatMessages(" be brief ", turns)).toEqual([
      { role: "system", content: " be brief " },
      { role: "user", content: "a" },
      { role: "user", content: "b" },
    ]);
    expect(chatMessages("  ", turns)[0]?.role).toBe("user");
  });

  it("sends no setting that is left to the server", () => {
    expect(chatRequest("m", [], emptyRequest, { reportState: false, reportPlacement: false })).toEqual({
      model: "m",
      messages: [],
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it("sends zero, which is not the same as empty", () => {
    expect(
      chatRequest("m", [], { ...emptyRequest, temperature: 0, topK: 0, seed: 0 }, { reportState: false, reportPlacement: false }),
    ).toMatchObject({
      temperature: 0,
      top_k: 0,
      seed: 0,
    });
  });

  it("asks for spikes where the person wants them, and for the state where the server knows it", () => {
    expect(chatRequest("m", [], { ...emptyRequest, spikes: true }, { reportState: true, reportPlacement: true })).toMatchObject({
      spikes: true,
      state: true,
      placement: true,
    });
    expect(Object.keys(chatRequest("m", [], emptyRequest, { reportState: false, reportPlacement: false }))).not.toContain("state");
  });

  it("names every setting as the API does", () => {
    const all = Object.fromEntries(numberRules.map((rule) => [rule.setting, 1]));
    expect(Object.keys(chatRequest("m", [], { ...emptyRequest, ...all }, { reportState: false, reportPlacement: false })).sort()).toEqual(
      ["model", "messages", "stream", "stream_options", "temperature", "top_p", "top_k", "min_p", "presence_penalty"]
        .concat(["frequency_penalty", "repetition_penalty", "max_tokens", "seed"])
        .sort(),
    );
  });
});

describe("typed settings", () => {
  const rule = (setting: string) => numberRules.find((candidate) => candidate.setting === setting) ?? expect.fail(setting);

  it("brings a number into its range", () => {
    expect(parseNumberSetting(rule("temperature"), "9")).toBe(2);
    expect(parseNumberSetting(rule("temperature"), "-1")).toBe(0);
    expect(parseNumberSetting(rule("topP"), "0.35")).toBe(0.35);
    expect(parseNumberSetting(rule("maxTokens"), "12.6")).toBe(13);
  });

  it("takes an empty field as the server's choice and refuses what is no number", () => {
    expect(parseNumberSetting(rule("seed"), " ")).toBeNull();
    expect(parseNumberSetting(rule("seed"), "abc")).toBeUndefined();
  });
});
