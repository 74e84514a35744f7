/** Constructors for the failures that the grammar Worker itself decides. */
import type { ServiceFailure } from "../contracts/errors.ts";

/** The message is the library's or ours, and names what can't be held to. */
export function notHeldTo(message: string): ServiceFailure {
  const text = inOurWords(message.replaceAll(/\s*<non-verbose\/>\s*/g, "").trim());
  return {
    code: "invalid_request",
    status: 400,
    message: `constraint cannot be held to: ${text.slice(0, mostCharacters).toWellFormed()}`,
    param: "constraint",
    retryable: false,
  };
}

const mostCharacters = 500;

/** The library's messages name what it means, but for a few. */
function inOurWords(message: string): string {
  const keywords = /^Unimplemented keys: \[(.*)\]$/.exec(message)?.[1];
  if (keywords !== undefined) return `the keywords ${keywords} are not supported`;
  if (message === "NoExtensionBias") return "no text fits it";
  return message.replace(/ Enable '\w+' option.*$/s, "");
}

export function tooManyTexts(most: number): ServiceFailure {
  const message = `${String(most)} answers are held to constraints at once; another has to wait`;
  return { code: "overloaded", status: 503, message, retryable: true, retryAfterSeconds: 1 };
}

export function notServed(model: string): ServiceFailure {
  const message = `constraint: the tokenizer of this version of the model '${model}' is not served here`;
  return { code: "model_not_found", status: 404, message, param: "model", retryable: false };
}
