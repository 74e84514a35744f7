/** A JSON Schema of the API's document for people: what a value may be, in words, and an object's fields as a table. */
import { escaped } from "./escaped.ts";

export type Json = Readonly<Record<string, unknown>>;

const named = "#/components/schemas/";

/** Of what a shape of the document is. */
export function shapeHtml(schema: Json): string {
  return isFields(schema) ? fieldsHtml(schema) : `<p>${typeHtml(schema)}</p>`;
}

/** What a value may be; objects in it have their fields folded beneath. */
export function typeHtml(schema: Json): string {
  const { $ref, const: constant, enum: values, anyOf, oneOf, allOf, items, additionalProperties } = schema;
  if (typeof $ref === "string") return $ref.startsWith(named) ? link($ref.slice(named.length)) : "the same again";
  if (constant !== undefined) return code(constant);
  if (Array.isArray(values)) return values.map(code).join(", ");
  if (Array.isArray(anyOf) || Array.isArray(oneOf)) return eitherHtml((anyOf ?? oneOf) as readonly Json[]);
  if (Array.isArray(allOf)) return (allOf as readonly Json[]).map(typeHtml).join(" and ");
  if (schema["type"] === "array") return `array${bounds(schema)} of ${isJson(items) ? typeHtml(items) : "any values"}`;
  if (isFields(schema)) return `<details><summary>object</summary>${fieldsHtml(schema)}</details>`;
  if (schema["type"] === "object") return isJson(additionalProperties) ? `object of ${typeHtml(additionalProperties)}` : "object";
  const { type } = schema;
  if (Array.isArray(type)) return type.map((one) => escaped(String(one))).join(" or ") + bounds(schema);
  return typeof type === "string" ? `${escaped(type)}${bounds(schema)}` : "any value";
}

/** What is said in words first; several objects each get the name by which they are told apart. */
function eitherHtml(schemas: readonly Json[]): string {
  const told = schemas.map((one) =>
    isFields(one) ? `<details><summary>${kindOf(one)}</summary>${fieldsHtml(one)}</details>` : typeHtml(one),
  );
  const words = told.filter((one) => !one.includes("<details>")).join(" or ");
  const folded = told.filter((one) => one.includes("<details>"));
  return [...(words === "" ? [] : [words]), ...folded].join(" or ");
}

function kindOf({ properties }: Json): string {
  const { type, role } = properties as Readonly<Record<string, Json | undefined>>;
  const constant = type?.["const"] ?? role?.["const"];
  return constant === undefined ? "object" : code(constant);
}

function fieldsHtml({ properties, required = [] }: Json): string {
  const rows = Object.entries(properties as Readonly<Record<string, Json>>).map(([name, schema]) => {
    const isRequired = (required as readonly string[]).includes(name);
    return `<tr><th scope="row"><code>${escaped(name)}</code>${isRequired ? " <small>required</small>" : ""}</th><td>${typeHtml(schema)}</td></tr>`;
  });
  return `<table><thead><tr><th scope="col">Field</th><th scope="col">Is</th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

/** As ` (1 to 64 characters)`. What every number that is exact holds to is not said. */
function bounds(schema: Json): string {
  const { minimum, maximum, exclusiveMinimum, pattern, minLength, maxLength, minItems, maxItems } = schema;
  const unit = maxLength === undefined && minLength === undefined ? "" : " characters";
  const least = [minimum, minLength, minItems].find(isTold);
  const most = [maximum, maxLength, maxItems].find(isTold);
  const told = [
    ...(isTold(exclusiveMinimum) ? [`above ${String(exclusiveMinimum)}`] : []),
    ...(least !== undefined && most !== undefined ? [`${String(least)} to ${String(most)}${unit}`] : []),
    ...(least !== undefined && most === undefined ? [`at least ${String(least)}${unit}`] : []),
    ...(least === undefined && most !== undefined ? [`at most ${String(most)}${unit}`] : []),
    ...(typeof pattern === "string" ? [`<code>${escaped(pattern)}</code>`] : []),
  ];
  return told.length === 0 ? "" : ` (${told.join(", ")})`;
}

const isTold = (value: unknown): value is number => typeof value === "number" && Math.abs(value) < Number.MAX_SAFE_INTEGER;
const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null;
const isFields = ({ properties }: Json): boolean => isJson(properties) && Object.keys(properties).length > 0;
const code = (value: unknown): string => `<code>${escaped(JSON.stringify(value))}</code>`;

export const link = (name: string): string => `<a href="#${escaped(name)}">${escaped(name)}</a>`;
