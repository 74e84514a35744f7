/**
 * How calls of functions stand in what the assistant says, in the form that the Qwen2.5 and Hermes families were taught: `<tool_call>` blocks of JSON
 * at its end. The grammar that holds an answer to it is here too: a call's arguments always fit their schema, and names are those that were offered.
 */
import type { Constraint } from "../contracts/constraint.ts";
import type { FunctionCall } from "../contracts/transcript.ts";
import type { AskedTools, ToldFunction } from "../contracts/tools.ts";
import { parseExact } from "../encoding/exact-json.ts";

export const callStart = "<tool_call>";
export const callEnd = "</tool_call>";

/** As a call stands in what the assistant says. */
export const callText = ({ name, arguments: given }: Pick<FunctionCall, "name" | "arguments">): string =>
  `${callStart}\n{"name": ${JSON.stringify(name)}, "arguments": ${given}}\n${callEnd}`;

/** As many as an answer may make, so that a small model that repeats itself comes to an end. */
const callsLimit = 8;

/** White space as Python's `json.dumps` writes it, which is how models were shown calls, and how templates render them again. */
const spaces = { "x-guidance": { whitespace_flexible: false, item_separator: ", ", key_separator: ": " } };
/** As an answer that is held to a schema has it. */
const noSpaces = { "x-guidance": { whitespace_flexible: false, item_separator: ",", key_separator: ":" } };

/**
 * A grammar in llguidance's form of Lark for answers with such calls.
 * @param schema is what an answer without calls fits; any text where it is left out.
 */
export function callsGrammar({ functions, choice, parallel }: AskedTools, schema?: Readonly<Record<string, unknown>>): Constraint {
  const named = typeof choice === "object" ? choice.name : undefined;
  const callable = named === undefined ? functions : functions.filter(({ name }) => name === named);
  const more = parallel && named === undefined ? ` (${text(`\n${callStart}`)} call){0,${String(callsLimit - 1)}}` : "";
  const start =
    choice !== "auto"
      ? [`start: ${text(callStart)} call${more}`]
      : schema !== undefined
        ? [`start: answer | ${text(callStart)} call${more}`, `answer: %json ${JSON.stringify({ ...schema, ...noSpaces })}`]
        : [`start: said | head call${more}`, `head[suffix=${text(callStart)}]: /(?s:.*)/`, "said: /(?s:.*)/"];
  const rules = callable.map(({ name, parameters }, at) => {
    const head = text(`{"name": ${JSON.stringify(name)}, "arguments": `);
    return `call_${String(at)}: ${head} %json ${JSON.stringify({ type: "object", ...parameters, ...spaces })} "}"`;
  });
  const names = callable.map((_one, at) => `call_${String(at)}`).join(" | ");
  return { kind: "lark", text: [...start, `call: "\\n" (${names}) ${text(`\n${callEnd}`)}`, ...rules].join("\n") };
}

/** Lark's texts are JSON's. */
const text = (value: string): string => JSON.stringify(value);

/** In the words of templates and of OpenAI's requests; numbers keep their digits. */
export const toolOfTemplate = ({ name, description, parameters }: ToldFunction): Readonly<Record<string, unknown>> => ({
  type: "function",
  function: { name, ...(description === undefined ? {} : { description }), parameters: parseExact(parameters) },
});
