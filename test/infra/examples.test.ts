/** What users copy from the documents are requests that the API has, and the documents name no other. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { requestShapes, type RequestShape } from "../../workers/gateway/openapi/requests.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const documents = ["README.md", "workers/gateway/API.md", "infra/README.md", "gpu-backend/docs/vllm-replica.md"];

/** The route table as it is written: what it imports is of the Workers' runtime. */
const table = read("workers/gateway/routes.ts").replace("path: poolReplicasPath", 'path: "/v1/pool/replicas"');
const plain = (path: string) => path.replaceAll(/:\w+(?:\{[^}]*\})?|\{[^}]*\}/g, "{}");
const routes = [...table.matchAll(/method: "([A-Z]+)",\s+path: "([^"]+)"/g)].map(
  ([, method = "", path = ""]) => `${method} ${plain(path)}`,
);
const bodies = new Map(
  [...table.matchAll(/path: "([^"]+)",(?:(?!path: )[\s\S])*?body: "(\w+)"/g)].map(([, path = "", body = ""]) => [
    path,
    body as RequestShape,
  ]),
);

function expectRequest(path: string, body: unknown): void {
  const name = bodies.get(path);
  expect(name, `a body for ${path}`).toBeDefined();
  const parsed = requestShapes[name as RequestShape].safeParse(body);
  expect(parsed.success ? [] : parsed.error.issues, `${path} ${JSON.stringify(body)}`).toEqual([]);
}

test("the examples with curl are requests that it has", () => {
  const examples = documents.flatMap((document) => [
    ...read(document).matchAll(/curl [^\n]*?(?:\/v1|\$API)(\/[a-z/_]+)(?:[^\n]*\\\n)*[^\n]*?-d '([^']+)'/g),
  ]);
  expect(examples.length).toBeGreaterThan(2);
  for (const [, path = "", body = ""] of examples) expectRequest(`/v1${path}`, JSON.parse(body));
});

test("so are those of the OpenAI packages", () => {
  const [, javascript = ""] = /chat\.completions\.create\((\{[\s\S]*?\n\})\);/.exec(read("README.md")) ?? [];
  expectRequest("/v1/chat/completions", JSON.parse(asJson(javascript)));
  const [, python = ""] = /from openai import[\s\S]*?chat\.completions\.create\(([\s\S]*?)\n\)/.exec(read("README.md")) ?? [];
  expectRequest("/v1/chat/completions", JSON.parse(asJson(`{${python.replaceAll(/^\s*(\w+)=/gm, "$1: ").replaceAll("True", "true")}}`)));
});

/** Of a literal with plain keys. */
const asJson = (literal: string): string => literal.replaceAll(/([{,]\s*)(\w+):/g, '$1"$2":').replaceAll(/,(\s*[}\]])/g, "$1");

test("the documents name every path of the API, and no request that it does not have", () => {
  const text = documents.map(read).join("\n");
  const named = [...text.matchAll(/`(GET|POST|PUT|PATCH|DELETE) (\/(?:v1\/|tokenize|detokenize|health|ready)[^`\s?]*)/g)].map(
    ([, method = "", path = ""]) => `${method} ${plain(path.replaceAll(/\bID\b/g, "{}"))}`,
  );
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter((request) => !routes.includes(request))).toEqual([]);
  const paths = new Set(routes.map((route) => route.slice(route.indexOf(" ") + 1)));
  const said = plain(text);
  // The last parts of a path may be named beside its first: "`GET /v1/a/{id}/b`, `…/b/{item}`".
  const isNamed = (path: string) => said.includes(path) || said.includes(`…/${path.split("/").slice(-2).join("/")}`);
  expect([...paths].filter((path) => !isNamed(path))).toEqual([]);
});
