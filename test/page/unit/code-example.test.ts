import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chatRequest } from "../../../workers/page/src/api/chat-request.ts";
import { codeExample, type ExamplePlan } from "../../../workers/page/src/api/code-example.ts";
import { creation } from "../../../workers/page/src/api/sessions.ts";
import { defaultSettings } from "../../../workers/page/src/state/settings.ts";

const trickyText = `It's "quoted" \\ $HOME \`id\` 你好 🎈\n\ttab {"a": true} \${x}`;
const settings = { ...defaultSettings, topK: 40, minP: 0.05, seed: 7, spikes: true };
const request = (session: string | null) =>
  chatRequest("model-1", [{ role: "user", content: trickyText }], settings, {
    reportState: true,
    reportPlacement: false,
    ...(session === null ? {} : { session }),
  });
const sessionCreation = creation("model-1", trickyText, null);

/** To no session, to one that is there, and to one that is made just before. */
const plans: readonly (readonly [string, ExamplePlan, string | null])[] = [
  ["without a session", { prepare: null, session: null, request }, null],
  ["to a session", { prepare: null, session: { id: "sess_there" }, request }, "sess_there"],
  ["to a session that it makes", { prepare: sessionCreation, session: null, request }, "sess_made"],
];
const madeSession = { id: "sess_made", object: "session", parent: { session_id: "sess_other" } };
const environment = { ...process.env, SPIKINGBRAIN_KEY: "sk-1", MADE: JSON.stringify(madeSession) };

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "example-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Seen {
  readonly path: string;
  readonly key: string;
  readonly body: unknown;
}

const run = (command: string, words: readonly string[]) =>
  execFileSync(command, words, { encoding: "utf8", env: environment, cwd: directory })
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Seen);

describe.each(plans)("code examples say exactly what the page sends, %s:", (_name, plan, session) => {
  const expected: Seen[] = [
    ...(plan.prepare === null ? [] : [{ path: "/v1/sessions", key: "sk-1", body: sessionCreation.json }]),
    { path: "/v1/chat/completions", key: "sk-1", body: request(session) },
  ];

  it("curl, as a shell reads it", () => {
    const log = join(directory, "curl.log");
    const fake = `import json, sys
url, body = sys.argv[2], sys.argv[-1]
key = next(word for word in sys.argv if word.startswith("authorization: ")).removeprefix("authorization: Bearer ")
print(json.dumps({"path": url.removeprefix("http://host:1"), "key": key, "body": json.loads(body)}), file=open(${JSON.stringify(log)}, "a"))`;
    writeFileSync(join(directory, "curl.py"), fake);
    writeFileSync(log, "");
    const script = `curl() { python3 curl.py "$@"; printf '%s' "$MADE"; }\n${codeExample("curl", "http://host:1", plan)}`;
    execFileSync("bash", ["-c", script], { encoding: "utf8", env: environment, cwd: directory });
    expect(run("cat", [log])).toEqual(expected);
  });

  it("JavaScript, as an engine runs it", () => {
    writeFileSync(
      join(directory, "openai.mjs"),
      `export default class {
         constructor({ baseURL, apiKey }) {
           const see = (path, body) => console.log(JSON.stringify({ path: (baseURL + path).replace("http://host:1", ""), key: apiKey, body }));
           this.post = async (path, { body }) => (see(path, body), JSON.parse(process.env.MADE));
           this.chat = { completions: { create: async (body) => (see("/chat/completions", body), []) } };
         } }`,
    );
    const example = codeExample("javascript", "http://host:1", plan).replace('from "openai"', 'from "./openai.mjs"');
    writeFileSync(join(directory, "example.mjs"), example);
    expect(run(process.execPath, ["example.mjs"])).toEqual(expected);
  });

  it("Python, as an interpreter runs it", () => {
    const fake = `import json, os
class OpenAI:
    def __init__(self, base_url, api_key):
        self.chat = self.completions = self
        self.base, self.key = base_url.removeprefix("http://host:1"), api_key
    def see(self, path, body):
        print(json.dumps({"path": self.base + path, "key": self.key, "body": body}))
    def post(self, path, *, body, cast_to):
        assert cast_to is object
        self.see(path, body)
        return json.loads(os.environ["MADE"])
    def create(self, extra_body, **request):
        known = {"model", "messages", "stream", "stream_options", "temperature", "top_p", "max_tokens", "seed"}
        assert set(request) <= known, set(request) - known
        self.see("/chat/completions", {**request, **extra_body})
        return []
`;
    writeFileSync(join(directory, "openai.py"), fake);
    writeFileSync(join(directory, "example.py"), codeExample("python", "http://host:1", plan));
    expect(run("python3", ["example.py"])).toEqual(expected);
  });
});
