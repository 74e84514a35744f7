/** OpenAI's own Python client, changed in nothing but its base URL. */
import { expect, test } from "vitest";
import { modelId, stackUrl } from "../support/edge-client.ts";
import { runPython } from "../support/python.ts";

interface Report {
  readonly whole: string;
  readonly streamed: string;
  readonly usage_agrees: boolean;
  readonly finish_reason: string;
  readonly models: string[];
  readonly echo_tokens: string;
  readonly echo_text: string;
  readonly first_logprob: null;
  readonly errors: Record<string, [status: number, code: string]>;
  readonly parsed: object;
  readonly responses: {
    readonly status: string;
    readonly whole: string;
    readonly streamed: string;
    readonly parsed: string;
    readonly numbered: boolean;
    readonly replayed: number[];
    readonly previous: boolean;
    readonly items: string[];
  };
}

test("chat, responses, streams, parsers, scoring, models and errors", () => {
  const report = JSON.parse(runPython("test/edge/openai_client.py", `${stackUrl}/v1`, modelId)) as Report;
  expect(report.whole.length).toBeGreaterThan(0);
  expect(report.streamed).toBe(report.whole);
  expect(report.usage_agrees).toBe(true);
  expect(["stop", "length"]).toContain(report.finish_reason);
  expect(report.models[0]).toBe(modelId);
  expect(report.echo_tokens).toBe(report.echo_text);
  expect(report.first_logprob).toBeNull();
  expect(report.errors).toEqual({
    NotFoundError: [404, "model_not_found"],
    BadRequestError: [400, "unsupported_field"],
    deleted: [404, "response_not_found"],
  });
  expect(report.parsed).toEqual({ chat: true, streamed: true, call: ["weather", true], responses: true, responses_call: true });
  const { whole } = report.responses;
  expect(whole.length).toBeGreaterThan(0);
  expect(report.responses).toEqual({
    ...{
      status: "completed",
      whole,
      streamed: whole,
      parsed: whole,
      numbered: true,
      replayed: [-1, 0],
      previous: true,
      items: ["message"],
    },
  });
});
