/** The functions that the model is told of: those that it may call, without what only the request needs of them. */
import { withDoubles } from "../../encoding/exact-json.ts";
import type { AskedTools, FunctionTool } from "../../contracts/tools.ts";

/** Nothing is said of functions where none may be called: a session then goes on telling of those that it told of before. */
export function toldFunctions(tools: AskedTools | undefined): { readonly tools?: readonly FunctionTool[] } {
  if (tools === undefined) return {};
  return {
    tools: tools.functions.map(({ name, description, parameters }) => ({
      name,
      ...(description === undefined ? {} : { description }),
      // They cross between Workers, where a number is a double.
      parameters: withDoubles(parameters) as typeof parameters,
    })),
  };
}
