/** Calls in text that arrives in deltas: however it is cut, the same text and the same calls come out, and nothing is shown that is taken back. */
import { expect, test } from "vitest";
import { callText } from "../../../../../workers/models/call-form.ts";
import { CallParser, type ParsedDelta } from "../../../../../workers/session/answers/text/call-parser.ts";
import { seeded } from "../../../support/dice.ts";

/** What a client makes of the deltas, as their order has it. */
function assembled(deltas: readonly ParsedDelta[]): { text: string; calls: { id: string; name: string; arguments: string }[] } {
  const calls: { id: string; name: string; arguments: string }[] = [];
  let text = "";
  for (const delta of deltas) {
    if (delta.kind === "text") {
      expect(calls).toEqual([]);
      text += delta.text;
    } else if (delta.begun !== undefined) {
      expect([delta.call, delta.arguments]).toEqual([calls.length, ""]);
      calls.push({ ...delta.begun, arguments: "" });
    } else {
      expect(delta.call).toBe(calls.length - 1);
      const last = calls.at(-1);
      if (last !== undefined) last.arguments += delta.arguments;
    }
  }
  return { text, calls };
}

function read(text: string, cut: () => number): { parser: CallParser; deltas: ParsedDelta[] } {
  const parser = new CallParser("call_x");
  const deltas: ParsedDelta[] = [];
  for (let at = 0; at < text.length;) {
    const length = cut();
    deltas.push(...parser.push(text.slice(at, at + length)));
    at += length;
  }
  return { parser, deltas: [...deltas, ...parser.finish()] };
}

const one = { name: "get", arguments: '{"city": "Rome }</tool_call>{", "of": [{"a\\\\": "\\"}"}], "n": -1.5e3}' };
const other = { name: "sing_2-x", arguments: "{}" };
const calls = [callText(one), callText(other)].join("\n");
const both = [
  { id: "call_x_0", ...one },
  { id: "call_x_1", ...other },
];

test.each([
  ["text alone", "Hello <tool_ca>\n\n there <tool_call", "Hello <tool_ca>\n\n there <tool_call", [], false],
  ["white space at the end of text", "Hello \n\n", "Hello \n\n", [], false],
  ["calls alone", calls, "", both, true],
  ["calls after text", `Let me see.\n${calls}`, "Let me see.", both, true],
  ["a call without a name", 'Yes\n<tool_call>\n{"name": "ge', "Yes", [], false],
  ["a call that is cut", callText(one).slice(0, 60), "", [{ id: "call_x_0", name: "get", arguments: '{"city": "Rome }</t' }], false],
  ["a call without its end", callText(other).slice(0, -4), "", [{ id: "call_x_0", ...other }], false],
] as const)("%s", (_name, text, said, made, isWhole) => {
  const dice = seeded(5);
  for (const cut of [() => 1, () => text.length, ...Array.from({ length: 40 }, () => () => 1 + dice.below(9))]) {
    const { parser, deltas } = read(text, cut);
    expect(assembled(deltas)).toEqual({ text: said, calls: made });
    expect([parser.text, parser.calls, parser.isWhole]).toEqual([said, made, isWhole]);
  }
});
