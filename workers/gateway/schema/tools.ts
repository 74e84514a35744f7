/** Functions that may be called, in OpenAI's words: of chat completions, and, flat, of responses. */
import * as z from "zod";
import type { FunctionTool, ToolChoice } from "../../contracts/tools.ts";
import { toolsLength, toolsLimit } from "./limits.ts";
import { anyArray, isAbsent, onWire, refusedKind } from "./parse.ts";

/** Deeper than what the grammar Worker takes. */
const mostDepth = 72;

export const functionName = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, { error: "must be 1 to 64 letters, digits, '_' or '-'" });

/** What of it is understood, the grammar Worker says. */
export const functionSchema = z
  .custom<Readonly<Record<string, unknown>>>(
    (value) => typeof value === "object" && value !== null && !Array.isArray(value),
    "must be a JSON schema (an object)",
  )
  .superRefine(({ type = "object", "x-guidance": options }, context) => {
    if (type !== "object") context.addIssue({ code: "custom", path: ["type"], message: "must be 'object'", input: type });
    if (options !== undefined) context.addIssue({ code: "custom", path: ["x-guidance"], message: "is not a keyword of JSON schemas" });
  });

const definition = {
  name: functionName,
  description: z.string().nullish(),
  parameters: functionSchema.nullish(),
  strict: z.boolean().nullish(),
};

export interface RequestTool extends FunctionTool {
  readonly strict: boolean;
  /** The request's field that defines it. */
  readonly field: string;
}

type Definition = z.output<z.ZodObject<typeof definition>>;

/** A function without parameters is called without arguments. */
const noParameters = { type: "object", properties: {}, additionalProperties: false };

const toolOf = ({ name, description, parameters: schema, strict }: Definition, field: string): RequestTool => ({
  ...{ name, field, strict: strict === true, parameters: schema ?? noParameters },
  ...(isAbsent(description) ? {} : { description }),
});

const otherKinds = ["custom", "file_search", "web_search", "web_search_preview", "computer_use_preview", "code_interpreter", "mcp"];
const refused = otherKinds.map((kind) => refusedKind("type", kind, "tools are functions"));

const chatTool = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("function"), function: z.strictObject(definition) }),
  ...refused,
]);
const responseTool = z.discriminatedUnion("type", [z.strictObject({ type: z.literal("function"), ...definition }), ...refused]);

/** They are looked at where their number and their size allow it. */
export const boundedTools = anyArray("must be an array of functions")
  .refine((tools) => tools.length <= toolsLimit, {
    abort: true,
    error: ({ input }) => `may hold ${String(toolsLimit)} functions; it holds ${String((input as readonly unknown[]).length)}`,
  })
  .refine((tools) => isNestedAtMost(tools, mostDepth), { error: `may be nested ${String(mostDepth)} deep` })
  .refine((tools) => JSON.stringify(tools).length <= toolsLength, { error: `may have ${String(toolsLength)} characters as JSON` });

/** @param path leads from a tool to its definition. */
const listOf = <T>(tool: z.ZodType<T>, path: readonly "function"[], definitionOf: (tool: T) => Definition) =>
  z
    .preprocess((value) => value ?? [], boundedTools)
    .pipe(z.array(tool))
    .transform((tools) => tools.map((one, at) => toolOf(definitionOf(one), [`tools[${String(at)}]`, ...path].join("."))))
    .superRefine(requireDifferentNames(path));

/** @param path leads from a tool to its definition. */
export function requireDifferentNames(path: readonly string[]) {
  return (tools: readonly RequestTool[], context: z.RefinementCtx): void => {
    const at = tools.findIndex(({ name }, place) => tools.findIndex((one) => one.name === name) < place);
    if (at < 0) return;
    const message = "must be another name than those of the tools before it";
    context.addIssue({ code: "custom", path: [at, ...path, "name"], message, input: tools[at]?.name });
  };
}

export const chatTools = onWire(
  listOf(chatTool, ["function"], (tool) => (tool as { readonly function: Definition }).function),
  z.array(chatTool).max(toolsLimit).nullish(),
);
export const responseTools = onWire(
  listOf(responseTool, [], (tool) => tool as Definition),
  z.array(responseTool).max(toolsLimit).nullish(),
);

const modes = ["none", "auto", "required"] as const;
const mode = z.enum(modes, { error: `must be one of ${modes.join(", ")}, or name a function` });

const otherChoices = ["allowed_tools", "custom", "mcp", "file_search", "web_search_preview", "code_interpreter"].map((kind) =>
  refusedKind("type", kind, "a choice is 'none', 'auto', 'required' or a function"),
);
const chatFunction = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("function"), function: z.strictObject({ name: z.string() }) }),
  ...otherChoices,
]);
const responseFunction = z.discriminatedUnion("type", [z.strictObject({ type: z.literal("function"), name: z.string() }), ...otherChoices]);

/** An object is looked at as one, so that what is wrong in it is named. */
const choiceOf = <T>(named: z.ZodType<T>, nameOf: (value: T) => NamedChoice) =>
  onWire(
    z
      .unknown()
      .transform((value, context): ToolFields["choice"] => {
        if (isAbsent(value)) return null;
        const parsed = typeof value === "object" ? named.transform(nameOf).safeParse(value, reporting) : mode.safeParse(value, reporting);
        if (parsed.success) return parsed.data;
        for (const issue of parsed.error.issues) context.addIssue({ ...issue });
        return null;
      })
      .optional(),
    z.union([mode, named]).nullish(),
  );

const reporting = { reportInput: true };

export const chatToolChoice = choiceOf(chatFunction, (choice) => ({
  name: (choice as { readonly function: { readonly name: string } }).function.name,
  field: "tool_choice.function.name",
}));
export const responseToolChoice = choiceOf(responseFunction, (choice) => ({
  name: (choice as { readonly name: string }).name,
  field: "tool_choice.name",
}));

/** The name of a function that must be called, and where the request has it. */
interface NamedChoice {
  readonly name: string;
  readonly field: string;
}

/** What is asked of calls ({@link AskedTools}), with where the request has it. */
export interface RequestTools {
  readonly functions: readonly RequestTool[];
  readonly choice: ToolChoice;
  readonly parallel: boolean;
}

export interface ToolFields {
  readonly tools: readonly RequestTool[];
  readonly choice: (typeof modes)[number] | NamedChoice | null | undefined;
  readonly parallel: boolean | null | undefined;
}

/** Undefined where nothing may be called. */
export function askedTools({ tools, choice, parallel }: ToolFields): RequestTools | undefined {
  if (tools.length === 0 || choice === "none") return undefined;
  return {
    functions: tools,
    choice: typeof choice === "object" && choice !== null ? { name: choice.name } : (choice ?? "auto"),
    parallel: parallel !== false,
  };
}

function isNestedAtMost(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((one) => isNestedAtMost(one, depth - 1));
}

/** What is wrong with the choice beside these tools, and with which field. */
export function choiceRefusal({ tools, choice }: ToolFields): { readonly field: string; readonly message: string } | undefined {
  if (typeof choice === "object" && choice !== null) {
    if (tools.some(({ name }) => name === choice.name)) return undefined;
    const shown = JSON.stringify(choice.name.slice(0, 64).toWellFormed());
    return { field: choice.field, message: `must be the name of a function in 'tools' (got ${shown})` };
  }
  if (choice === "required" && tools.length === 0)
    return { field: "tool_choice", message: "needs 'tools' to be called (got \"required\")" };
  return undefined;
}
