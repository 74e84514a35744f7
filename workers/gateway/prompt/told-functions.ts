/** The functions that the model is told of: those that it may call, without what only the request needs of them. */
import type { AskedTools, ToldFunction } from "../../contracts/tools.ts";

/** Nothing is said of functions where none may be called: a session then goes on telling of those that it told of before. */
export function toldFunctions(tools: Pick<AskedTools, "functions"> | undefined): { readonly tools?: readonly ToldFunction[] } {
  if (tools === undefined) return {};
  return {
    tools: tools.functions.map(({ name, description, parameters }) => ({
      name,
      ...(description === undefined ? {} : { description }),
      parameters: JSON.stringify(parameters),
    })),
  };
}
