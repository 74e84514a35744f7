import type { ChatRequest } from "./chat-request.ts";

export type ExampleLanguage = "curl" | "javascript" | "python";

/** The current request as something to paste elsewhere. It runs as it is: nothing to fill in but a key, where the server wants one. */
export function codeExample(language: ExampleLanguage, origin: string, request: ChatRequest): string {
  if (language === "curl") return curlExample(origin, request);
  return language === "javascript" ? javascriptExample(origin, request) : pythonExample(origin, request);
}

function curlExample(origin: string, request: ChatRequest): string {
  const body = JSON.stringify(request, null, 2).replaceAll("'", `'\\''`);
  return `curl -N ${origin}/v1/chat/completions \\
  -H 'content-type: application/json' \\
  -d '${body}'
`;
}

function javascriptExample(origin: string, request: ChatRequest): string {
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${origin}/v1", apiKey: "none" });

const stream = await client.chat.completions.create(${JSON.stringify(request, null, 2)});

for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
`;
}

/** Fields of this server that the Python SDK's method does not name; it sends what is in `extra_body` beside the rest. */
const EXTRA_FIELDS: readonly string[] = ["top_k", "min_p", "repetition_penalty", "spikes", "state"];

function pythonExample(origin: string, request: ChatRequest): string {
  const entries = Object.entries(request);
  const extra = Object.fromEntries(entries.filter(([name]) => EXTRA_FIELDS.includes(name)));
  const lines = entries.filter(([name]) => !EXTRA_FIELDS.includes(name)).map(([name, value]) => `    ${name}=${pythonLiteral(value, 1)},`);
  if (Object.keys(extra).length > 0) lines.push(`    extra_body=${pythonLiteral(extra, 1)},`);
  return `from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key="none")

stream = client.chat.completions.create(
${lines.join("\n")}
)

for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
`;
}

function pythonLiteral(value: unknown, depth: number): string {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  const indent = "    ".repeat(depth);
  if (Array.isArray(value)) {
    const items = value.map((item) => `${indent}    ${pythonLiteral(item, depth + 1)},`);
    return `[\n${items.join("\n")}\n${indent}]`;
  }
  if (typeof value === "object") {
    const items = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${pythonLiteral(item, depth + 1)}`);
    return `{${items.join(", ")}}`;
  }
  // JSON writes strings and numbers as Python does.
  return JSON.stringify(value);
}
