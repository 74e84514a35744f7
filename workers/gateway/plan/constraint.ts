/** The constraint that a request asks for, by which field, and whether it can be held to; calls of functions are one too. Numbers of schemas keep their digits. */
import { unwrap } from "../../contracts/call.ts";
import type { Constraint } from "../../contracts/constraint.ts";
import { ServiceError } from "../../contracts/errors.ts";
import { parseExact } from "../../encoding/exact-json.ts";
import { callsGrammar } from "../../models/call-form.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import type { Environment } from "../environment.ts";
import { invalidRequest } from "../failures.ts";
import type { GenerationFields } from "../schema/generation-fields.ts";
import { isAbsent } from "../schema/parse.ts";
import type { RequestTools } from "../schema/tools.ts";
import { strictViolation } from "./strict-schema.ts";

export interface AskedConstraint {
  readonly constraint: Constraint;
  /** The field that asks for it. */
  readonly param: string;
  /** What it is made of, each with its own field, to tell which one can't be held to. */
  readonly parts?: readonly AskedConstraint[];
}

/** Undefined where the text may be anything. @throws ServiceError where two are asked for, or one together with what excludes it. */
export function askedConstraint(
  body: Pick<GenerationFields, "ignore_eos" | "response_format" | "structured_outputs">,
  tools?: RequestTools,
): AskedConstraint | undefined {
  const formatted = ofResponseFormat(body.response_format);
  const structured = ofStructuredOutputs(body.structured_outputs);
  if (formatted !== undefined && structured !== undefined)
    throw invalidRequest("'structured_outputs': must be left out beside a 'response_format' other than text.", "structured_outputs");
  if (tools !== undefined && structured !== undefined)
    throw invalidRequest("'structured_outputs': must be left out beside 'tools' that may be called.", "structured_outputs");
  const asked = tools === undefined ? (formatted ?? structured) : withCalls(tools, formatted);
  if (asked !== undefined && body.ignore_eos === true)
    throw invalidRequest(
      `'ignore_eos': must be false beside '${asked.param}', because the answer ends where its text is whole.`,
      "ignore_eos",
    );
  return asked;
}

/** @throws ServiceError that names the request's field and what of it can't be held to. */
export async function requireHoldable(
  environment: Pick<Environment, "GRAMMAR">,
  { constraint, param, parts = [] }: AskedConstraint,
): Promise<void> {
  const { GRAMMAR: grammar } = environment;
  try {
    await unwrap("grammar", grammar.check(constraint), (cause) => {
      logLine("error", "service_unreachable", { service: "grammar", cause: describeCause(cause) });
    });
  } catch (cause) {
    if (!(cause instanceof ServiceError) || cause.failure.code !== "invalid_request") throw cause;
    for (const part of parts) await requireHoldable(environment, part);
    const message = cause.failure.message.replace(/^constraint(\.\w+)?:? /, "");
    throw invalidRequest(`'${param}': ${message}.`, param);
  }
}

/** Calls, or beside them the text that was asked for. */
function withCalls(tools: RequestTools, format: AskedConstraint | undefined): AskedConstraint {
  const parts = tools.functions.map(({ parameters, strict, field }): AskedConstraint => {
    const param = `${field}.parameters`;
    const schema = { type: "object", ...parameters };
    const violation = strict ? strictViolation(schema) : undefined;
    if (violation !== undefined) throw invalidRequest(`'${param}': with 'strict', ${violation}.`, param);
    return { constraint: { kind: "json_schema", text: JSON.stringify(schema) }, param };
  });
  const schema =
    format === undefined
      ? undefined
      : ((format.constraint.kind === "json_object" ? { type: "object" } : parseExact(format.constraint.text)) as Schema);
  // The grammar has options of its own there.
  if (format !== undefined && schema !== undefined && "x-guidance" in schema)
    throw invalidRequest(`'${format.param}': cannot be held to: the keyword 'x-guidance' is not supported.`, format.param);
  return {
    constraint: callsGrammar(tools, schema),
    param: "tools",
    parts: [...parts, ...(format === undefined ? [] : [format])],
  };
}

type Schema = Readonly<Record<string, unknown>>;

function ofResponseFormat(format: GenerationFields["response_format"]): AskedConstraint | undefined {
  if (isAbsent(format) || format.type === "text") return undefined;
  const anyObject: AskedConstraint = { constraint: { kind: "json_object", text: "" }, param: "response_format" };
  if (format.type === "json_object") return anyObject;
  const { schema, strict } = format.json_schema;
  if (isAbsent(schema)) return anyObject;
  const param = "response_format.json_schema.schema";
  const violation = strict === true ? strictViolation(schema) : undefined;
  if (violation !== undefined) throw invalidRequest(`'${param}': with 'strict', ${violation}.`, param);
  return { constraint: { kind: "json_schema", text: JSON.stringify(schema) }, param };
}

function ofStructuredOutputs(asked: GenerationFields["structured_outputs"]): AskedConstraint | undefined {
  if (isAbsent(asked)) return undefined;
  const { json, regex, choice, grammar } = asked;
  const of = (name: string, kind: Constraint["kind"], text: string): AskedConstraint => ({
    constraint: { kind, text },
    param: `structured_outputs.${name}`,
  });
  if (!isAbsent(json)) return of("json", "json_schema", JSON.stringify(json));
  if (!isAbsent(regex)) return of("regex", "regex", regex);
  if (!isAbsent(choice)) return of("choice", "choice", JSON.stringify(choice));
  if (!isAbsent(grammar)) return of("grammar", "lark", grammar);
  return of("json_object", "json_object", "");
}
