import { describe, expect, it } from "vitest";
import { cacheReport } from "../../../workers/page/src/api/cache-report.ts";
import { parseChunk } from "../../../workers/page/src/api/chat-stream.ts";
import { FailureError, failureFromError, retryAfterSeconds } from "../../../workers/page/src/api/failure.ts";

function failureOf(run: () => unknown) {
  try {
    run();
  } catch (error) {
    if (error instanceof FailureError) return error.failure;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("chunks", () => {
  it("reads text, the reason to finish and usage", () => {
    expect(parseChunk('{"choices":[{"delta":{"content":"hi"},"finish_reason":null}]}')).toEqual([{ type: "delta", text: "hi" }]);
    expect(parseChunk('{"choices":[{"delta":{},"finish_reason":"length"}]}')).toEqual([{ type: "finish", reason: "length" }]);
    expect(parseChunk('{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}')).toEqual([
      { type: "usage", promptTokens: 3, completionTokens: 4 },
    ]);
  });

  it("reads the state of a chunk and of the usage", () => {
    const measure = { tokens: 5, bytes: 70 };
    expect(parseChunk('{"choices":[{"delta":{"content":""}}],"state":{"tokens":5,"bytes":70}}')).toEqual([{ type: "state", measure }]);
    const usage = '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"state":{"tokens":5,"bytes":70}}}';
    expect(parseChunk(usage)[0]).toEqual({ type: "state", measure });
    expect(parseChunk('{"choices":[],"state":{"tokens":"5"}}')).toEqual([]);
  });

  it("reads where an answer runs, before the text that comes with it", () => {
    const placement = '{"backend":"gpu-1","kind":"vllm","from_token":3}';
    expect(parseChunk(`{"choices":[{"delta":{"content":"hi"}}],"placement":${placement}}`)).toEqual([
      { type: "placement", placement: { backend: "gpu-1", onEngine: false, fromToken: 3 } },
      { type: "delta", text: "hi" },
    ]);
    expect(parseChunk(`{"choices":[],"placement":${placement.replace("vllm", "engine")}}`)).toMatchObject([
      { placement: { onEngine: true } },
    ]);
    expect(parseChunk('{"choices":[],"placement":{"backend":"gpu-1","kind":"vllm"}}')).toEqual([]);
  });

  it("finds nothing in the opening chunk", () => {
    expect(parseChunk('{"choices":[{"delta":{"role":"assistant","content":""}}],"usage":null}')).toEqual([]);
  });

  it("throws the failure of an error event", () => {
    const failure = failureOf(() => parseChunk('{"error":{"message":"the engine stopped","code":"engine_unavailable"}}'));
    expect(failure).toEqual({ kind: "server", message: "the engine stopped" });
  });

  it.each(["", "nonsense", "null", "7"])("refuses %j", (data) => {
    expect(failureOf(() => parseChunk(data)).kind).toBe("protocol");
  });
});

describe("the report on what was remembered", () => {
  it("is read from its header, and nothing from another", () => {
    expect(cacheReport('hit; tokens=1204; reason="at the edge"')).toEqual({ outcome: "hit", tokens: 1204, reason: "at the edge" });
    for (const header of [null, "", "hit", 'hit; tokens=x; reason=""', 'perhaps; tokens=1; reason=""'])
      expect(cacheReport(header)).toBeNull();
  });
});

describe("failures", () => {
  it("tells a full context, a busy server and anything else apart", () => {
    expect(failureFromError({ error: { code: "context_length_exceeded", message: "too long" } }, 400).kind).toBe("context");
    expect(failureFromError({ error: { message: "later" } }, 503, 7)).toEqual({
      kind: "busy",
      status: 503,
      message: "later",
      retryAfterSeconds: 7,
    });
    expect(failureFromError({}, 429).kind).toBe("busy");
    expect(failureFromError({ error: { code: "overloaded" } }).kind).toBe("busy");
    expect(failureFromError("<html>", 500)).toEqual({ kind: "server", status: 500 });
  });

  it("reads Retry-After as seconds and as a date", () => {
    const now = Date.UTC(2026, 0, 1);
    expect(retryAfterSeconds("12", now)).toBe(12);
    expect(retryAfterSeconds("Thu, 01 Jan 2026 00:00:30 GMT", now)).toBe(30);
    expect(retryAfterSeconds("Wed, 31 Dec 2025 00:00:00 GMT", now)).toBe(0);
    expect(retryAfterSeconds("soon", now)).toBeUndefined();
    expect(retryAfterSeconds(null, now)).toBeUndefined();
  });
});
