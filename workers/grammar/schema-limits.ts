/**
 * Bounds on a JSON schema before the library sees it: what it makes of a few bytes may take minutes and gigabytes, and nobody can stop it half-way.
 * Each is far above what schemas that people write have.
 */

import { digitsOf, integerOf } from "../encoding/exact-json.ts";

/** Values in each other. */
const mostDepth = 64;
/** Values of any kind, names aside. */
const mostValues = 10_000;
const mostEnumValues = 5000;
/** Of one object. */
const mostProperties = 1000;
const longestPattern = 2048;
/** Of the keywords that count. */
const mostCounted = 4096;
/** Ways in which the parts of an `allOf` can be combined. */
const mostCombinations = 512;

const counting: ReadonlySet<string> = new Set(["minItems", "maxItems", "minProperties", "maxProperties"]);
const alternatives = ["anyOf", "oneOf"] as const;

type Found = string | undefined;

/** What of a schema's numbers texts are held to. */
const bounds: ReadonlySet<string> = new Set(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]);
const constants: ReadonlySet<string> = new Set(["const", "enum"]);

/** What of a schema is beyond a bound, or is not taken from clients; undefined where nothing is. */
export function beyondLimits(schema: unknown): Found {
  if (isObject(schema) && "x-guidance" in schema) return "the keyword 'x-guidance' is not supported";
  const state = { values: 0, enumValues: 0 };
  return walk(schema, "", 1, state) ?? combined(schema);
}

function walk(value: unknown, path: string, depth: number, state: { values: number; enumValues: number }, isConstant = false): Found {
  state.values += 1;
  if (state.values > mostValues) return `it may hold ${String(mostValues)} values`;
  if (isConstant && !isHeldConstant(value)) return inexact(path, value);
  if (typeof value !== "object" || value === null || digitsOf(value) !== undefined) return undefined;
  if (depth > mostDepth) return `it may be ${String(mostDepth)} values deep`;
  for (const [name, child] of Object.entries(value)) {
    const at = path === "" ? name : `${path}.${name}`;
    const found = Array.isArray(value) ? undefined : keyword(value as Schema, name, at, state);
    const below = found ?? walk(child, at, depth + 1, state, isConstant || (!Array.isArray(value) && constants.has(name)));
    if (below !== undefined) return below;
  }
  return undefined;
}

function keyword(schema: Schema, name: string, path: string, state: { enumValues: number }): Found {
  const value = schema[name];
  if (name === "pattern" && typeof value === "string" && value.length > longestPattern)
    return `'${short(path)}' may have ${String(longestPattern)} characters; it has ${String(value.length)}`;
  if (counting.has(name) && typeof value === "number" && value > mostCounted)
    return `'${short(path)}' may be at most ${String(mostCounted)}; it is ${String(value)}`;
  const properties = name === "properties" && isObject(value) ? Object.keys(value).length : 0;
  if (properties > mostProperties) return `'${short(path)}' may have ${String(mostProperties)} properties; it has ${String(properties)}`;
  if (bounds.has(name) && !isHeldBound(name, value, schema["type"])) return inexact(path, value);
  if (name !== "enum" || !Array.isArray(value)) return undefined;
  state.enumValues += value.length;
  return state.enumValues > mostEnumValues ? `its enums together may have ${String(mostEnumValues)} values` : undefined;
}

/**
 * The library reckons with doubles, and with integers of 64 bits: a text might be let through that is one off. An upper bound that no such integer is
 * beyond is as good as none; it fails at the lower one. A bound that is a double is exact where the next integer need not be found.
 */
function isHeldBound(name: string, value: unknown, type: unknown): boolean {
  const integer = integerOf(value);
  if (integer === undefined) return digitsOf(value) === undefined;
  if (isSafe(integer) || (type === "integer" && isBeyondIntegers(name, integer))) return true;
  if (name.endsWith("inimum") && integer <= -(2n ** 63n)) return false;
  return isDouble(integer) && (type === "number" || !name.startsWith("exclusive"));
}

function isBeyondIntegers(name: string, value: bigint): boolean {
  const most = 2n ** 63n - 1n;
  return name === "maximum" ? value >= most : name === "exclusiveMaximum" && value > most;
}

/** Whether the library takes a number for itself. */
function isHeldConstant(value: unknown): boolean {
  const integer = integerOf(value);
  if (integer === undefined) return digitsOf(value) === undefined;
  return isSafe(integer) || (isDouble(integer) && BigInt.asIntN(64, integer) === integer && integer > -(2n ** 63n));
}

const isSafe = (integer: bigint): boolean => Number.isSafeInteger(Number(integer));
/** Of those that are finite as one. */
const isDouble = (integer: bigint): boolean => Number.isFinite(Number(integer)) && BigInt(Number(integer)) === integer;

const inexact = (path: string, value: unknown): string => {
  return `'${short(path)}' has the number ${short(digitsOf(value) ?? String(value))}, to which no text can be held exactly: it has more digits than a double, or than 64 bits`;
};

/** The library multiplies the alternatives of an `allOf`'s parts out. */
function combined(root: unknown): Found {
  const counts = new Map<object, number>();
  const waysOf = (schema: unknown): number => {
    if (!isObject(schema)) return 1;
    const known = counts.get(schema);
    if (known !== undefined) return known;
    // A schema that comes round to itself is not multiplied out for ever: the library keeps it as a reference.
    counts.set(schema, 1);
    let ways = typeof schema["$ref"] === "string" ? waysOf(target(root, schema["$ref"])) : 1;
    for (const name of alternatives)
      ways *= Math.max(
        1,
        listOf(schema[name]).reduce<number>((sum, one) => sum + waysOf(one), 0),
      );
    for (const part of listOf(schema["allOf"])) ways *= waysOf(part);
    ways = Math.min(ways, Number.MAX_SAFE_INTEGER);
    counts.set(schema, ways);
    return ways;
  };
  const isBeyond = (value: unknown): boolean => {
    if (typeof value !== "object" || value === null) return false;
    const isCombination = isObject(value) && (listOf(value["allOf"]).length > 0 || alternatives.some((name) => name in value));
    return (isCombination && waysOf(value) > mostCombinations && hasProduct(value)) || Object.values(value).some(isBeyond);
  };
  return isBeyond(root) ? `the alternatives of its 'allOf' can be combined in more than ${String(mostCombinations)} ways` : undefined;
}

/** Whether alternatives are multiplied, and not only many. */
function hasProduct(schema: Readonly<Record<string, unknown>>): boolean {
  return listOf(schema["allOf"]).length > 0 || alternatives.every((name) => name in schema);
}

function target(root: unknown, reference: string): unknown {
  if (!reference.startsWith("#/")) return reference === "#" ? root : undefined;
  const steps = reference.slice(2).split("/");
  return steps.reduce<unknown>((value, step) => {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
  }, root);
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
type Schema = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Schema => typeof value === "object" && value !== null && !Array.isArray(value);

const longestPath = 100;
const short = (path: string) => (path.length > longestPath ? `${path.slice(0, longestPath)}…` : path);
