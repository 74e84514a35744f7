/** Random JSON schemas of the keywords that answers are held to. */

export type Schema = Readonly<Record<string, unknown>>;

export function randomSchema(random: () => number, depth = 3): Schema {
  const below = (most: number) => Math.floor(random() * most);
  const of = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const scalar = (): Schema =>
    of<() => Schema>([
      () => ({ type: "boolean" }),
      () => ({ type: "null" }),
      () => ({ type: "integer", minimum: below(50) - 25, maximum: 25 + below(500) }),
      () => ({ type: "number", minimum: below(5) }),
      () => ({ type: "string", maxLength: below(12) }),
      () => ({ type: "string", minLength: 2, maxLength: 2 + below(6) }),
      () => ({ type: "string", pattern: of(["^[a-z]{1,4}$", "^(on|off)$", "^[0-9]{2}-[0-9]{2}$"]) }),
      () => ({ enum: [of(["a", 1, null, true]), 2.5, `text ${String(below(9))}`] }),
      () => ({ const: of(["x", 7, false, 'a "b"']) }),
      () => ({ type: ["string", "null"], maxLength: 5 }),
    ])();
  if (depth === 0 || random() < 0.3) return scalar();
  return of<() => Schema>([
    () => ({ type: "array", items: randomSchema(random, depth - 1), minItems: below(2), maxItems: 1 + below(3) }),
    () => ({ type: "array", prefixItems: [scalar(), scalar()], items: false, minItems: 2 }),
    () => {
      const names = Array.from({ length: 1 + below(4) }, (_unused, at) => `${of(["a", "key", "no 1", "ü"])}${String(at)}`);
      const properties = Object.fromEntries(names.map((name) => [name, randomSchema(random, depth - 1)]));
      return { type: "object", properties, required: names.filter(() => random() < 0.6), additionalProperties: false };
    },
    () => ({ anyOf: [randomSchema(random, depth - 1), scalar()] }),
  ])();
}
