/** Constructors for the failures that the grammar Worker itself decides. */
import type { ServiceFailure } from "../contracts/errors.ts";

/** The message is the library's or ours, and names what can't be held to. */
export function notHeldTo(message: string): ServiceFailure {
  const text = inOurWords(message.replaceAll(/\s*<non-verbose\/>\s*/g, "").trim());
  return {
    code: "invalid_request",
    status: 400,
    message: `constraint cannot be held to: ${shortened(text)}`,
    param: "constraint",
    retryable: false,
  };
}

const mostCharacters = { first: 200, last: 300 } as const;

/** The library quotes what it is about, and says what is wrong with it at the end. */
function shortened(text: string): string {
  const { first, last } = mostCharacters;
  return text.length <= first + last ? text : `${text.slice(0, first).toWellFormed()} … ${text.slice(-last).toWellFormed()}`;
}

/** The library's words for its bounds on a step of a text. */
export const ofWork = /Current row has|too many (expressions|states)|Too many items/;

/** The library's messages name what it means, but for a few. */
function inOurWords(message: string): string {
  const keywords = /^Unimplemented keys: \[(.*)\]$/.exec(message)?.[1];
  if (keywords !== undefined) return `the keywords ${keywords} are not supported`;
  if (message === "NoExtensionBias") return "no text fits it";
  if (ofWork.test(message)) return "what may follow takes too much work to tell";
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
