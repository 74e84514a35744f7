import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chatRequest } from "../../../workers/page/src/api/chat-request.ts";
import { codeExample } from "../../../workers/page/src/api/code-example.ts";
import { DEFAULT_SETTINGS } from "../../../workers/page/src/state/settings.ts";

const TRICKY = `It's "quoted" \\ $HOME \`id\` 你好 🎈\n\ttab {"a": true} \${x}`;
const SETTINGS = { ...DEFAULT_SETTINGS, topK: 40, minP: 0.05, seed: 7, spikes: true };
const REQUEST = chatRequest("model-1", [{ role: "user", content: TRICKY }], SETTINGS, { reportState: true });

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "example-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe("code examples say exactly what the page sends", () => {
  it("curl, as a shell reads it", () => {
    const example = codeExample("curl", "http://host:1", REQUEST);
    const script = `curl() { printf '%s\\0' "$@"; }\n${example}`;
    const words = execFileSync("bash", ["-c", script], { encoding: "utf8" }).split("\0");
    expect(words[1]).toBe("http://host:1/v1/chat/completions");
    expect(JSON.parse(words[5] ?? "")).toEqual(REQUEST);
  });

  it("JavaScript, as an engine runs it", () => {
    const example = codeExample("javascript", "http://host:1", REQUEST);
    writeFileSync(
      join(directory, "openai.mjs"),
      `export default class { constructor(options) {
         this.chat = { completions: { create: async (request) => (console.log(JSON.stringify({ options, request })), []) } };
       } }`,
    );
    writeFileSync(join(directory, "example.mjs"), example.replace('from "openai"', 'from "./openai.mjs"'));
    const printed: unknown = JSON.parse(execFileSync(process.execPath, [join(directory, "example.mjs")], { encoding: "utf8" }));
    expect(printed).toEqual({ options: { baseURL: "http://host:1/v1", apiKey: "none" }, request: REQUEST });
  });

  it("Python, as an interpreter runs it", () => {
    const fake = `import json
class OpenAI:
    def __init__(self, **options):
        self.chat = self.completions = self
        self.options = options
    def create(self, extra_body, **request):
        print(json.dumps({"options": self.options, "request": {**request, **extra_body}, "extra": sorted(extra_body)}))
        return []
`;
    writeFileSync(join(directory, "openai.py"), fake);
    writeFileSync(join(directory, "example.py"), codeExample("python", "http://host:1", REQUEST));
    const printed: unknown = JSON.parse(execFileSync("python3", [join(directory, "example.py")], { encoding: "utf8" }));
    expect(printed).toEqual({
      options: { base_url: "http://host:1/v1", api_key: "none" },
      request: REQUEST,
      extra: ["min_p", "repetition_penalty", "spikes", "state", "top_k"],
    });
  });
});
