/** What OpenAI's `strict` asks of a JSON schema: an object whose every object names all of its properties as required, and allows no others. */

type Schema = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Schema => typeof value === "object" && value !== null && !Array.isArray(value);
/** Keywords with schemas by name, with one schema, and with several. */
const named = ["properties", "$defs", "definitions"] as const;
const single = ["items", "additionalProperties"] as const;
const several = ["anyOf", "allOf", "oneOf", "prefixItems"] as const;

/** Completes "with 'strict', "; undefined where nothing is against it. */
export function strictViolation(schema: Schema): string | undefined {
  if (schema["type"] !== "object") return "the schema must have the type 'object'";
  return violationIn(schema, "");
}

function violationIn(schema: unknown, path: string): string | undefined {
  if (!isObject(schema)) return undefined;
  const own = isObject(schema["properties"]) || schema["type"] === "object" ? ofObject(schema, path) : undefined;
  if (own !== undefined) return own;
  for (const [child, at] of children(schema, path)) {
    const found = violationIn(child, at);
    if (found !== undefined) return found;
  }
  return undefined;
}

function ofObject(schema: Schema, path: string): string | undefined {
  const where = path === "" ? "the schema" : `'${path}'`;
  if (schema["additionalProperties"] !== false) return `${where} must have 'additionalProperties': false`;
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  const missing = Object.keys(isObject(schema["properties"]) ? schema["properties"] : {}).find((name) => !required.includes(name));
  return missing === undefined ? undefined : `${where} must name every property in 'required'; it does not name '${missing.slice(0, 64)}'`;
}

function* children(schema: Schema, path: string): Generator<readonly [unknown, string]> {
  const at = (name: string) => (path === "" ? name : `${path}.${name}`);
  for (const keyword of named)
    if (isObject(schema[keyword])) for (const [name, child] of Object.entries(schema[keyword])) yield [child, at(`${keyword}.${name}`)];
  for (const keyword of single) yield [schema[keyword], at(keyword)];
  for (const keyword of several)
    if (Array.isArray(schema[keyword]))
      for (const [index, child] of schema[keyword].entries()) yield [child, at(`${keyword}[${String(index)}]`)];
}
