/** Functions, choices of them and histories of calls that are refused, each by the name of what is wrong with it. */
import { beforeEach, describe, expect, test } from "vitest";
import { chat, failure, type Json } from "../support/gateway-client.ts";
import { engine } from "../support/gateway-worker.ts";
import { asked, calledBoth, clock, parameters, result, tools, use, weather } from "../support/tool-calls.ts";

beforeEach(() => {
  use();
});

describe("refused by name", () => {
  const of = (changes: Json) => ({ tools: [{ type: "function", function: { name: "f", ...changes } }] });
  test.each<[string, Json, string, RegExp]>([
    ["a name with blanks", of({ name: "a b" }), "tools[0].function.name", /letters, digits.*"a b"/],
    ["a name twice", { tools: [clock, weather, clock] }, "tools[2].function.name", /another name.*"clock"/],
    ["a tool of another kind", { tools: [{ type: "web_search" }] }, "tools[0].type", /'web_search' is not supported/],
    ["a field nobody knows", of({ parameter: {} }), "tools[0].function.parameter", /Unknown/],
    ["parameters that are no schema", of({ parameters: [] }), "tools[0].function.parameters", /JSON schema/],
    ["parameters of no object", of({ parameters: { type: "array" } }), "tools[0].function.parameters.type", /'object'.*"array"/],
    [
      "a keyword that is not supported",
      { tools: [clock, { type: "function", function: { name: "f", parameters: { not: {} } } }] },
      "tools[1].function.parameters",
      /"not".*not supported/,
    ],
    [
      "options of the library",
      of({ parameters: { "x-guidance": { lenient: true } } }),
      "tools[0].function.parameters.x-guidance",
      /no|not/,
    ],
    [
      "parameters that multiply",
      of({ parameters: { allOf: Array.from({ length: 20 }, (_unused, at) => ({ anyOf: [{ minProperties: at }, { type: "null" }] })) } }),
      "tools[0].function.parameters",
      /512 ways/,
    ],
    [
      "strict parameters with an optional one",
      of({ strict: true, parameters: { ...parameters, required: ["city"] } }),
      "tools[0].function.parameters",
      /does not name 'days'/,
    ],
    [
      "too many",
      { tools: Array.from({ length: 129 }, (_unused, at) => ({ type: "function", function: { name: `f${String(at)}` } })) },
      "tools",
      /128/,
    ],
    ["too long", of({ description: "x".repeat(66_000) }), "tools", /65536 characters/],
    ["too deep", of({ parameters: nested(80) }), "tools", /deep/],
    [
      "a choice of a function that is not there",
      { tools, tool_choice: { type: "function", function: { name: "g" } } },
      "tool_choice.function.name",
      /function in 'tools'.*"g"/,
    ],
    ["a choice of no kind", { tools, tool_choice: "any" }, "tool_choice", /none, auto, required.*"any"/],
    ["a choice of several", { tools, tool_choice: { type: "allowed_tools" } }, "tool_choice.type", /'allowed_tools' is not supported/],
    ["a call that must be made of nothing", { tool_choice: "required" }, "tool_choice", /needs 'tools'/],
    ["another constraint", { tools, structured_outputs: { regex: "a" } }, "structured_outputs", /must be left out/],
    [
      "a response format with options of the library",
      { tools, response_format: { type: "json_schema", json_schema: { name: "a", schema: { "x-guidance": { lenient: true } } } } },
      "response_format.json_schema.schema",
      /'x-guidance' is not supported/,
    ],
    [
      "a response format that can't be held to",
      { tools, response_format: { type: "json_schema", json_schema: { name: "a", schema: { not: {} } } } },
      "response_format.json_schema.schema",
      /"not".*not supported/,
    ],
    ["ends that are ignored", { tools, ignore_eos: true }, "ignore_eos", /must be false beside 'tools'/],
    ["the older name", { functions: [{ name: "f" }] }, "functions", /newer names/],
    ["the older name's choice", { function_call: { name: "f" } }, "function_call", /newer names/],
    [
      "what a function gave, of no call",
      { messages: [asked, result("three")] },
      "messages[1].tool_call_id",
      /id of a call before it.*'three'/,
    ],
    ["the same twice", { messages: [asked, calledBoth, result("one"), result("one")] }, "messages[3].tool_call_id", /has been answered/],
    ["a result without an id", { messages: [asked, calledBoth, { role: "tool", content: "1" }] }, "messages[2].tool_call_id", /string/],
    [
      "arguments that are no object",
      { messages: [asked, { ...calledBoth, tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: "[" } }] }] },
      "messages[1].tool_calls[0].function.arguments",
      /JSON object as text/,
    ],
    [
      "a call of another kind",
      { messages: [asked, { ...calledBoth, tool_calls: [{ id: "a", type: "custom", custom: {} }] }] },
      "messages[1].tool_calls[0].type",
      /'custom' is not supported/,
    ],
    ["an answer of nothing", { messages: [asked, { role: "assistant", content: null }] }, "messages[1].content", /tool_calls/],
    ["the role 'function'", { messages: [asked, { role: "function", name: "f", content: "1" }] }, "messages[1].role", /not supported/],
    ["a backend that holds to none", { model: "plain", tools }, "tools", /backend of the model 'plain'/],
  ])("%s", async (_name, body, field, message) => {
    const response = await chat({ max_tokens: 8, ...body });
    expect(response.status).toBe(400);
    const error = await failure(response);
    expect(error.param).toBe(field);
    expect(error.message).toMatch(message);
    expect(engine.calls).toEqual([]);
  });
});

function nested(depth: number): Json {
  return depth === 0 ? {} : { items: nested(depth - 1) };
}
