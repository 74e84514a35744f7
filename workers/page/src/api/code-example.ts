import type { ChatRequest } from "./chat-request.ts";
import type { SessionCall } from "./sessions.ts";

export type ExampleLanguage = "curl" | "javascript" | "python";

/** What the page would send: at most one request whose answer names the session, then the chat request. */
export interface ExamplePlan {
  readonly prepare: SessionCall | null;
  /** The session that the chat request goes to as it stands. */
  readonly session: { readonly id: string } | null;
  readonly request: (session: string | null) => ChatRequest;
}

/** The next request as something to paste elsewhere. It runs as it is; the key, which is a secret, comes from the environment. */
export function codeExample(language: ExampleLanguage, origin: string, plan: ExamplePlan): string {
  if (language === "curl") return curlExample(origin, plan);
  return language === "javascript" ? javascriptExample(origin, plan) : pythonExample(origin, plan);
}

const keyVariable = "SPIKINGBRAIN_KEY";
const pathPrefix = "/v1";

/** The fields in the order they are sent. Where the session's id is known only once the example runs, `named` stands for it. */
function fieldsOf({ prepare, session, request }: ExamplePlan, literal: (value: unknown) => string, named: string): [string, string][] {
  // The id itself is never printed then, so any will do.
  const fields = Object.entries(request(prepare === null ? (session?.id ?? null) : ""));
  return fields.map(([name, value]) => [name, prepare !== null && name === "session_id" ? named : literal(value)]);
}

function curlExample(origin: string, plan: ExamplePlan): string {
  const { prepare } = plan;
  const quoted = (value: unknown) => JSON.stringify(value, null, 2).replaceAll("\n", "\n  ").replaceAll("'", `'\\''`);
  const fields = fieldsOf(plan, quoted, `"'"$SESSION"'"`).map(([name, value]) => `  ${JSON.stringify(name)}: ${value}`);
  const headers = `  -H "authorization: Bearer $${keyVariable}" \\\n  -H 'content-type: application/json' \\\n`;
  const first =
    prepare === null
      ? ""
      : `SESSION=$(curl -s ${origin}${prepare.path} \\\n${headers}  -d '${quoted(prepare.json)}' | sed -E 's/^[{]"id":"([^"]+)".*/\\1/')\n\n`;
  return `${first}curl -N ${origin}/v1/chat/completions \\\n${headers}  -d '{\n${fields.join(",\n")}\n}'\n`;
}

function javascriptExample(origin: string, plan: ExamplePlan): string {
  const { prepare } = plan;
  const literal = (value: unknown) => JSON.stringify(value, null, 2).replaceAll("\n", "\n  ");
  const fields = fieldsOf(plan, literal, "session.id").map(([name, value]) => `  ${name}: ${value},`);
  const first =
    prepare === null
      ? ""
      : `const session = await client.post("${prepare.path.slice(pathPrefix.length)}", { body: ${JSON.stringify(prepare.json, null, 2)} });\n\n`;
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${origin}${pathPrefix}", apiKey: process.env.${keyVariable} });

${first}const stream = await client.chat.completions.create({
${fields.join("\n")}
});

for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
`;
}

/** Fields of this server that the Python SDK's method does not name; it sends what is in `extra_body` beside the rest. */
const extraFields: readonly string[] = ["session_id", "top_k", "min_p", "repetition_penalty", "spikes", "state"];

function pythonExample(origin: string, plan: ExamplePlan): string {
  const { prepare } = plan;
  const isExtra = ([name]: readonly [string, string]) => extraFields.includes(name);
  const named = fieldsOf(plan, (value) => pythonLiteral(value, 1), `session["id"]`).filter((field) => !isExtra(field));
  const extra = fieldsOf(plan, (value) => pythonLiteral(value, 2), `session["id"]`).filter(isExtra);
  const lines = named.map(([name, value]) => `    ${name}=${value},`);
  if (extra.length > 0) {
    const items = extra.map(([name, value]) => `        ${JSON.stringify(name)}: ${value},`);
    lines.push(`    extra_body={\n${items.join("\n")}\n    },`);
  }
  const path = prepare?.path.slice(pathPrefix.length) ?? "";
  const first = prepare === null ? "" : `session = client.post("${path}", body=${pythonLiteral(prepare.json, 0)}, cast_to=object)\n\n`;
  return `import os
from openai import OpenAI

client = OpenAI(base_url="${origin}${pathPrefix}", api_key=os.environ["${keyVariable}"])

${first}stream = client.chat.completions.create(
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
