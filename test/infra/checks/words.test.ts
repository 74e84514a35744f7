import { describe, expect, it } from "vitest";
import { misuses, uncheckedFiles } from "../../../infra/checks/glossary.ts";
import { checkWords, type Misuse } from "../../../infra/checks/words.ts";
import { checkoutWith, described } from "./checkout.ts";

const rules: readonly Misuse[] = [
  { word: "state", wrong: /(?:prompt|session) memor(?:y|ies)/, write: "state" },
  { word: "sink", wrong: /sinks?/, right: /learned sinks?/, within: ["src", "a.md"], except: ["src/model"], write: "writer" },
];
const glossary = "# A\n\n## Words\n\n| word | is |\n| --- | --- |\n| state | No prompt memory. |\n| sink | Attention's. |\n\n## Next\n";

function problemsOf(files: Readonly<Record<string, string>>, unchecked: readonly string[] = []): string[] {
  return described(checkWords(checkoutWith({ "ARCHITECTURE.md": glossary, ...files }), rules, unchecked));
}

const memory = (found: string) => `"${found}" is not what ARCHITECTURE.md's glossary has for "state"; write state`;
const sink = '"sink" is not what ARCHITECTURE.md\'s glossary has for "sink"; write writer';

describe("a word that is used for something else", () => {
  it.each([
    ["in camel case", "const promptMemory = 1;"],
    ["in Pascal case", "class PromptMemory {}"],
    ["in capitals", "const PROMPT_MEMORY = 1;"],
    ["in snake case", "let prompt_memory = 1;"],
    ["in kebab case", 'import "./prompt-memory.ts";'],
    ["behind an abbreviation", "const HTTPPromptMemory = 1;"],
    ["before a digit", "const promptMemory2 = 1;"],
    ["in a message", "`the prompt memory of ${id}`"],
    ["in a comment", "/** The prompt's\n * own prompt memory. */"],
  ])("is found %s", (_name, text) => {
    expect(problemsOf({ "src/a.ts": text })).toEqual([`src/a.ts:${text.includes("\n") ? 2 : 1}: ${memory("prompt memory")}`]);
  });

  it.each(["a.py", "a.rs", "a.md", "a.tsx", "a.mjs", "a.toml", "a.css", "a.html", "a.yml", "a.sh"])("is found in %s", (file) => {
    expect(problemsOf({ [file]: "\n\nsession_memories" })).toEqual([`${file}:3: ${memory("session memories")}`]);
  });

  it("is found across the lines of a sentence, at the line where it begins, and as often as it is there", () => {
    expect(problemsOf({ "a.md": "# It\n\nThe prompt\nmemory, and a sink. The session memory" })).toEqual([
      `a.md:3: ${memory("prompt memory")}`,
      `a.md:4: ${memory("session memory")}`,
      `a.md:4: ${sink}`,
    ]);
  });
});

describe("a word that is used for what it is", () => {
  it.each([
    ["within a longer word", "src/a.ts", "const sinking = promptMemoryless;"],
    ["in a use that its rule allows", "src/a.ts", "const learnedSinks = 4; // a learned\n// sink"],
    ["in a folder that its rule is not about", "src/model/a.ts", "const sink = 4;"],
    ["elsewhere than its rule is about", "lib/a.ts", "const sink = 4;"],
    ["in a file that is no text", "src/a.json", '"prompt memory"'],
    ["in a file that is not checked", "made/a.ts", "const promptMemory = 4;"],
  ])("is left alone %s", (_name, file, text) => {
    expect(problemsOf({ [file]: text }, ["made"])).toEqual([]);
  });
});

it("a rule needs a word that the glossary defines", () => {
  expect(problemsOf({ "ARCHITECTURE.md": glossary.replace("| sink |", "| tile |") })).toEqual([
    'ARCHITECTURE.md:1: must define "sink" in a table under the heading "Words"',
  ]);
});

it("only the glossary itself may tell of misuses", () => {
  expect(problemsOf({ "ARCHITECTURE.md": `${glossary}\nThe prompt memory.` })).toEqual([`ARCHITECTURE.md:12: ${memory("prompt memory")}`]);
});

describe("the rules of this repository", () => {
  const words = [...new Set(misuses.map(({ word }) => word))];
  const defined = `## Words\n\n| word | is |\n| --- | --- |\n${words.map((word) => `| ${word} | . |\n`).join("")}`;
  const found = (file: string, text: string) =>
    described(checkWords(checkoutWith({ "ARCHITECTURE.md": defined, [file]: text }), misuses, uncheckedFiles)).length > 0;

  it.each([
    ["chunk", "workers/engine/a.ts", "const pieces = 1;"],
    ["segment", "workers/tokenizer/a.ts", "visit(segment);"],
    ["memory", "workers/gateway/a.ts", "// A conversation's memory."],
    ["memory", "workers/session/a.ts", "class NoMemory {}"],
    ["page", "README.md", "The page shows it."],
    ["page", "workers/session/a.ts", "/** A page of a list. */"],
    ["round", "workers/gateway/a.ts", "// Readers go in turn."],
    ["turn", "workers/engine/a.ts", "this.#turn += 1;"],
    ["shard", "workers/session/a.ts", "const SHARDS = 16;"],
    ["sink", "workers/engine/a.ts", "class EventSink {}"],
    ["sink", "wasm/engine/src/a.rs", "type LogitSink = u8;"],
    ["snapshot", "wasm/engine/src/a.rs", "mod snapshot;"],
    ["entry", "workers/engine/a.ts", "interface PlanEntry {}"],
    ["stream", "wasm/engine/src/a.rs", "// A stream of random numbers."],
    ["stream", "gpu-backend/a.py", "def document_stream(): ..."],
    ["head", "test/edge/a.ts", 'const postHead = "POST / HTTP/1.1";'],
    ["head", "workers/engine/a.ts", "// The head of the queue."],
    ["session", "infra/a.ts", "interface LoginSession {}"],
    ["context", "workers/gateway/a.ts", "// In this context it is unknown."],
    ["context", "workers/observe/a.ts", "const logContext = {};"],
  ])("find a misuse of %s in %s: %s", (_word, file, text) => {
    expect(found(file, text)).toBe(true);
  });

  it.each([
    ["workers/session/a.ts", "// At the end of each turn, in memory, a page of keys and values; attention sinks."],
    ["workers/engine/a.ts", "// The engine's memory is out of memory at the end of turn; the weights' shards are in memory."],
    ["wasm/engine/src/a.rs", "let segments = plan.segments();"],
    ["wasm/engine/src/a.rs", "let sinks = config.learned_sinks; // pages of 32 tokens in linear memory"],
    ["workers/page/src/a.ts", "// The page shows a conversation's memory, in turn."],
    ["README.md", "The web page shows it, in `workers/page`; a list page holds 20."],
  ])("find none in %s: %s", (file, text) => {
    expect(found(file, text)).toBe(false);
  });
});
