/** The examples that users copy are requests that the API's document has. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { requestShapes } from "../../workers/gateway/openapi/requests.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

test("the examples of the README are requests that it has", () => {
  const bodies = { "/chat/completions": "ChatCompletionRequest", "/sessions": "NewSession", "/responses": "ResponseRequest" } as const;
  const examples = [...readme.matchAll(/curl [^\n]*?(?:\/v1|\$API)(\/[a-z/_]+)(?:[^\n]*\\\n)*[^\n]*?-d '([^']+)'/g)];
  expect(examples.length).toBeGreaterThan(2);
  for (const [, path = "", body = ""] of examples) {
    const name = bodies[path as keyof typeof bodies];
    const parsed = requestShapes[name].safeParse(JSON.parse(body));
    expect(parsed.success ? [] : parsed.error.issues, `${path} ${body}`).toEqual([]);
  }
});
