/** Templates are rendered as transformers renders them with Jinja2, whose texts lie in test/fixtures/templates, or refused by name when they are loaded. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { JinjaTemplate } from "../../../workers/tokenizer/jinja/template.ts";
import { templateFunctions } from "../../../workers/tokenizer/template-globals.ts";

const folder = fileURLToPath(new URL("../../fixtures/templates/", import.meta.url));
const readJson = (name: string): unknown => JSON.parse(readFileSync(`${folder}${name}`, "utf8"));
type Variables = Readonly<Record<string, unknown>>;

const expected = readJson("expected.json") as {
  /** Null where Jinja2 refuses. */
  readonly templates: Readonly<Record<string, Readonly<Record<string, string | null>>>>;
  readonly expressions: readonly (string | null)[];
};
const conversations = readJson("conversations.json") as Readonly<Record<string, Variables>>;
const table = readJson("expressions.json") as {
  readonly variables: Variables;
  readonly cases: readonly string[];
  /** What Jinja2 may render and this does not: what it says when the template is loaded. */
  readonly refused: Readonly<Record<string, string>>;
};
const functions = templateFunctions(new Date("2026-02-03T04:05:06Z"));

function rendered(source: string, variables: Variables): string | null {
  const template = new JinjaTemplate(source);
  try {
    return template.render({ ...functions, ...variables });
  } catch {
    return null;
  }
}

function renderedOrRefused(source: string, variables: Variables): string | null {
  try {
    return rendered(source, variables);
  } catch {
    return null;
  }
}

describe("expressions, statements and white space", () => {
  test.each(table.cases.map((source, at) => ({ source, text: expected.expressions[at] })))("$source", ({ source, text }) => {
    expect(text === null ? renderedOrRefused(source, table.variables) : rendered(source, table.variables)).toBe(text);
  });
});

test("an integer that a double does not hold is printed as it is, and is an int", () => {
  const schema = { most: 9223372036854775807n, least: -9007199254740992n };
  const source =
    "{{ schema | tojson }} {{ schema }} {{ schema.most }} {{ schema.most is integer }} {{ schema.most > 5 }} {{ schema.most == 5 }}";
  const [most, least] = ["9223372036854775807", "-9007199254740992"];
  expect(rendered(source, { schema })).toBe(
    `{"most": ${most}, "least": ${least}} {'most': ${most}, 'least': ${least}} ${most} True True False`,
  );
  // What is computed of it would be another number.
  expect(rendered("{{ schema.most + 1 }}", { schema })).toBeNull();
});

test.each(Object.entries(table.refused))("refused when it is loaded: %s", (source, message) => {
  expect(() => new JinjaTemplate(source)).toThrow(message);
});

describe("chat templates", () => {
  const names = readdirSync(folder).filter((name) => name.endsWith(".jinja"));

  test("are at least thirty, and most conversations suit most of them", () => {
    const texts = Object.values(expected.templates).flatMap((one) => Object.values(one));
    expect(names.length).toBeGreaterThanOrEqual(30);
    expect(texts.filter((text) => text !== null).length / texts.length).toBeGreaterThan(0.6);
  });

  test.each(names)("%s", (name) => {
    const source = readFileSync(folder + name, "utf8");
    const texts = Object.entries(conversations).map(([key, variables]) => [key, rendered(source, variables)]);
    expect(Object.fromEntries(texts)).toEqual(expected.templates[name.replace(/\.jinja$/, "")]);
  });
});
