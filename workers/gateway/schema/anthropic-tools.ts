/** Functions that may be called, in Anthropic's words. */
import * as z from "zod";
import { cacheControl } from "./anthropic-content.ts";
import { isAbsent, isEmptyArray, onWire, unsupported } from "./parse.ts";
import { boundedTools, functionName, functionSchema, requireDifferentNames, type RequestTool, type ToolFields } from "./tools.ts";
import { toolsLimit } from "./limits.ts";

const isDirect = (value: unknown) => Array.isArray(value) && value.every((one) => one === "direct");

const tool = z.strictObject({
  type: z.literal("custom", { error: "must be 'custom': tools are functions of the client's" }).nullish(),
  name: functionName,
  description: z.string().nullish(),
  input_schema: functionSchema,
  strict: z.boolean().nullish(),
  cache_control: cacheControl,
  allowed_callers: unsupported(isDirect),
  defer_loading: unsupported((value) => value === false),
  input_examples: unsupported(isEmptyArray),
  // Arguments come in parts in any case.
  eager_input_streaming: z.boolean().nullish(),
});

export const messageTools = onWire(
  z
    .preprocess((value) => value ?? [], boundedTools)
    .pipe(z.array(tool))
    .transform((tools) =>
      tools.map(({ name, description, input_schema: parameters, strict }, at): RequestTool => ({
        ...{ name, parameters, strict: strict === true, field: `tools[${String(at)}]` },
        ...(isAbsent(description) ? {} : { description }),
      })),
    )
    .superRefine(requireDifferentNames([])),
  z.array(tool).max(toolsLimit).nullish(),
);

const parallel = { disable_parallel_tool_use: z.boolean().nullish() };

export const messageToolChoice = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("auto"), ...parallel }),
    z.strictObject({ type: z.literal("any"), ...parallel }),
    z.strictObject({ type: z.literal("tool"), name: z.string(), ...parallel }),
    z.strictObject({ type: z.literal("none") }),
  ])
  .nullish();

/** In the words of the rest. */
export function messageToolFields(tools: readonly RequestTool[], choice: z.output<typeof messageToolChoice>): ToolFields {
  if (isAbsent(choice)) return { tools, choice: null, parallel: null };
  if (choice.type === "none") return { tools, choice: "none", parallel: null };
  const isParallel = choice.disable_parallel_tool_use !== true;
  if (choice.type === "tool") return { tools, choice: { name: choice.name, field: "tool_choice.name" }, parallel: isParallel };
  return { tools, choice: choice.type === "any" ? "required" : "auto", parallel: isParallel };
}
