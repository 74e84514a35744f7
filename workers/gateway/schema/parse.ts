/** Runs a wire schema and turns its first issue into the one failure a client sees. */
import * as z from "zod";
import { invalidRequest, unknownField, unsupportedField } from "../failures.ts";

const nameLengthLimit = 100;
const shownLength = 20;

/** Clients send `null` for what they leave out. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

/** What is not an array is `refused`; of what it may hold, others say more. */
export const anyArray = (refused: string) =>
  z.array(z.unknown(), { error: ({ code }: { readonly code?: string }) => (code === "invalid_type" ? refused : undefined) });

/** A list of nothing asks for nothing. */
export const isEmptyArray = (value: unknown) => Array.isArray(value) && value.length === 0;

/** An object whose fields are among these, each absent or with a value that asks for nothing. */
export function asksNothing(fields: Readonly<Record<string, (value: unknown) => boolean>> = {}) {
  return (value: unknown): boolean =>
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).every(([name, one]) => Object.hasOwn(fields, name) && (isAbsent(one) || fields[name]?.(one) === true));
}

/** For {@link asksNothing}. */
export const among =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);

const shapes = new WeakMap<object, z.ZodType>();
const refused = new WeakSet<object>();

/** What a value that is checked by hand, or made into something else, is on the wire: the API's document shows it. */
export function onWire<T extends object>(schema: T, shape: z.ZodType): T {
  shapes.set(schema, shape);
  return schema;
}

export const wireShapeOf = (schema: object): z.ZodType | undefined => shapes.get(schema);

/** Whether the API's document leaves a field out, because it asks for nothing or is refused. */
export const isRefusedField = (schema: object): boolean => refused.has(schema);

export function isJsonObject(value: string): boolean {
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
  } catch {
    return false;
  }
}

/** Refuses a field by name unless its value asks for nothing (`accepts`); `null` always asks for nothing. */
export function unsupported(accepts: (value: unknown) => boolean = () => false, message?: string) {
  const field = z
    .unknown()
    .refine((value) => isAbsent(value) || accepts(value), { params: { unsupported: true, reason: message } })
    .optional();
  refused.add(field);
  return field;
}

/** A flag that asks for nothing where it is not true, and is refused where it is. */
export function refusedFlag(reason: string) {
  const field = z
    .boolean()
    .nullish()
    .refine((value) => value !== true, { params: { unsupported: true, reason } });
  refused.add(field);
  return field;
}

/** One of a union's shapes, which is refused by name; `why` says what there is instead. */
export const refusedKind = (field: "type" | "role", kind: string, why = "messages hold text only") =>
  onWire(
    z.looseObject({ [field]: z.literal(kind) }).superRefine((_value, context) => {
      context.addIssue({
        code: "custom",
        path: [field],
        message: "not supported",
        params: { unsupported: true, reason: `'${kind}' is not supported by this server: ${why}.` },
      });
    }),
    z.never(),
  );

/** A field that comes with what a client sends back, and that nothing is read of. */
export const accepted = z.unknown().optional();

export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body, { reportInput: true });
  if (result.success) return result.data;
  const issues = result.error.issues;
  const issue = issues.find((candidate) => candidate.code === "unrecognized_keys") ?? issues.find(isUnsupported) ?? narrowest(issues);
  if (issue === undefined) throw invalidRequest("The request body is invalid.");
  const param = fieldName(issue.path);
  if (issue.code === "unrecognized_keys") throw unknownField(fieldName([...issue.path, issue.keys[0] ?? ""]));
  if (isUnsupported(issue)) throw unsupportedField(param, issue.params?.["reason"] as string | undefined);
  throw invalidRequest(`${param === "" ? "The request body" : `'${param}'`}: ${issue.message}${shown(issue)}.`, param || undefined);
}

/** The first; of an integer that a double does not hold zod tells its own bound before the field's, which is the rule. */
function narrowest([first, ...others]: readonly z.core.$ZodIssue[]): z.core.$ZodIssue | undefined {
  if (first === undefined || !("note" in first)) return first;
  const name = fieldName(first.path);
  return others.find(({ code, path }) => code === first.code && fieldName(path) === name) ?? first;
}

function isUnsupported(issue: z.core.$ZodIssue): issue is z.core.$ZodIssueCustom {
  return issue.code === "custom" && issue.params?.["unsupported"] === true;
}

/** `messages[0].content[1].type`. */
export function fieldName(path: readonly PropertyKey[]): string {
  let name = "";
  for (const step of path) name += typeof step === "number" ? `[${step}]` : name === "" ? String(step) : `.${String(step)}`;
  return name.length > nameLengthLimit ? `${name.slice(0, nameLengthLimit).toWellFormed()}…` : name;
}

/** The offending value where it is a number or a word; anything longer may be somebody's prompt, and only its length is told where that is wrong. */
function shown({ code, input: value }: z.core.$ZodIssue): string {
  const isSize = code === "too_big" || code === "too_small";
  if (isSize && Array.isArray(value)) return ` (got ${value.length})`;
  if (isSize && typeof value === "string" && value.length > shownLength) return ` (got ${value.length})`;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return ` (got ${value})`;
  return typeof value === "string" && value.length <= shownLength ? ` (got ${JSON.stringify(value)})` : "";
}
