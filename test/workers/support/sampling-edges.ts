/** Every field that says how tokens are chosen, at the edges of its type: what is accepted, and what an engine is asked for then. */
import type { SamplingParameters } from "../../../workers/contracts/engine.ts";

export interface EdgeField {
  readonly name: string;
  /** JSON texts that are answered, with what the engine is asked for where that is a sampling parameter. */
  readonly accepted: readonly (readonly [json: string, asked?: Partial<SamplingParameters>])[];
  /** JSON texts that are refused. */
  readonly refused: readonly string[];
  /** Sent beside it. */
  readonly beside?: string;
  /** Only at this endpoint. */
  readonly only?: "chat" | "completions";
}

/** No field takes these. `1e999` is how JSON writes what no double holds. */
export const neverAccepted = ['"1"', '""', "[]", "[1]", "{}", "1e308", "-1e308", "1e999", "-1e999"];

/** Numbers that f32 makes 0 or infinite, and the smallest that a double holds. */
const tiny = ["1e-6", "1e-38", "1e-45", "1e-46", "1e-308", "5e-324"];

type Key = Exclude<keyof SamplingParameters, "logitBias" | "seed">;
const numbers = (key: Key, texts: readonly string[]): EdgeField["accepted"] => texts.map((text) => [text, { [key]: Number(text) }]);
const absent = (key: Key, value: number): EdgeField["accepted"] => [["null", { [key]: value }]];
const integers = (texts: readonly string[]): EdgeField["accepted"] => [["null"], ...texts.map((text) => [text] as const)];
const seeds = (pairs: readonly (readonly [json: string, seed: SamplingParameters["seed"]])[]): EdgeField["accepted"] =>
  pairs.map(([json, seed]) => [json, { seed }]);

const booleans = ["true", "false"];

export const edgeFields: readonly EdgeField[] = [
  {
    name: "temperature",
    accepted: [...numbers("temperature", ["0", "-0", "0.0", "2", "2.0", "2e0", ...tiny]), ...absent("temperature", 1)],
    refused: ["-5e-324", "-1e-6", "2.0000000000000004", "-1", ...booleans],
  },
  {
    name: "top_p",
    accepted: [...numbers("topP", ["1", "1.0", "0.9999999999999999", ...tiny]), ...absent("topP", 1)],
    refused: ["0", "-0", "-5e-324", "1.0000000000000002", "-1", ...booleans],
  },
  {
    name: "top_k",
    accepted: [
      ...numbers("topK", ["1", "1.0", "1000000"]),
      ["0", { topK: 0 }],
      ["-0", { topK: 0 }],
      ["-1", { topK: 0 }],
      ...absent("topK", 0),
    ],
    refused: ["-2", "1000001", "0.5", "5e-324", "4294967296", "9007199254740993", ...booleans],
  },
  {
    name: "min_p",
    accepted: [...numbers("minP", ["0", "-0", "1", "1.0", ...tiny]), ...absent("minP", 0)],
    refused: ["-5e-324", "1.0000000000000002", "2", ...booleans],
  },
  {
    name: "repetition_penalty",
    accepted: [...numbers("repetitionPenalty", ["1", "2", "2.0", ...tiny]), ...absent("repetitionPenalty", 1)],
    refused: ["0", "-0", "-5e-324", "2.0000000000000004", "-1", ...booleans],
  },
  {
    name: "presence_penalty",
    accepted: [...numbers("presencePenalty", ["-2", "2", "0", "-0", "-5e-324", ...tiny]), ...absent("presencePenalty", 0)],
    refused: ["-2.0000000000000004", "2.0000000000000004", ...booleans],
  },
  {
    name: "frequency_penalty",
    accepted: [...numbers("frequencyPenalty", ["-2", "2", "0", "-0", "-5e-324", ...tiny]), ...absent("frequencyPenalty", 0)],
    refused: ["-2.0000000000000004", "2.0000000000000004", ...booleans],
  },
  {
    name: "seed",
    accepted: [
      ...seeds([
        ["0", 0],
        ["-0", 0],
        ["1.0", 1],
        ["4294967296", 4294967296],
        ["9007199254740991", 9007199254740991],
        ["9007199254740992", "9007199254740992"],
        ["9007199254740993", "9007199254740993"],
        ["9223372036854775807", "9223372036854775807"],
        ["18446744073709551615", "18446744073709551615"],
        ["-1", "18446744073709551615"],
        ["-9007199254740993", "18437736874454810623"],
        ["-9223372036854775808", "9223372036854775808"],
        ["1e18", "1000000000000000000"],
      ]),
      ["null"],
    ],
    refused: ["0.5", "5e-324", "18446744073709551616", "-9223372036854775809", "1e20", ...booleans],
  },
  { name: "min_tokens", accepted: integers(["0", "-0", "2", "2.0"]), refused: ["-1", "0.5", "3", "2147483647", "2147483648", ...booleans] },
  { name: "n", accepted: integers(["1", "1.0", "8"]), refused: ["0", "-0", "-1", "9", "1.5", ...booleans] },
  { name: "max_tokens", accepted: integers(["1", "1.0", "2"]), refused: ["-1", "0.5", "2147483648", "9007199254740993", ...booleans] },
  { name: "max_tokens", accepted: [], refused: ["0", "-0"], only: "chat" },
  { name: "max_completion_tokens", accepted: integers(["2"]), refused: ["0", "-1", "1.5", "2147483648", ...booleans], only: "chat" },
  { name: "logprobs", accepted: booleans.concat("null").map((text) => [text]), refused: ["0", "1", "-1"], only: "chat" },
  { name: "logprobs", accepted: integers(["0", "-0", "20"]), refused: ["-1", "21", "0.5", ...booleans], only: "completions" },
  {
    name: "top_logprobs",
    accepted: integers(["0", "-0", "20"]),
    refused: ["-1", "21", "0.5", ...booleans],
    beside: '"logprobs":true',
    only: "chat",
  },
  { name: "best_of", accepted: integers(["1", "1.0"]), refused: ["0", "2", "-1", "0.5", ...booleans], only: "completions" },
  { name: "ignore_eos", accepted: [["true"], ["false"], ["null"]], refused: ["0", "1"] },
];

/** Pairs of a token's key and its bias, as JSON texts. */
export const biases = {
  accepted: [
    ["7", "100", 100],
    ["7", "-100", -100],
    ["7", "-0", -0],
    ["0", "5e-324", 5e-324],
    ["7", "1e-308", 1e-308],
    ["7", "1.0", 1],
  ],
  refused: [
    ["7", "100.00000000000001"],
    ["7", "-100.00000000000001"],
    ["7", "1e308"],
    ["7", "1e999"],
    ["7", '"1"'],
    ["7", "null"],
    ["7", "true"],
    ["7", "[]"],
    ["xyz", "1"],
    ["-1", "1"],
    ["1.0", "1"],
    ["07", "1"],
    ["", "1"],
    ["99999", "1"],
    ["1e3", "1"],
    ["18446744073709551616", "1"],
    ["__proto__", "1"],
  ],
} as const;
