/** The functions that Hugging Face `transformers` adds to those of Jinja2. */
import { formatTime } from "./strftime.ts";
import { str } from "./jinja/printing.ts";
import type { Callable } from "./jinja/values.ts";

/** Thrown by a template's `raise_exception`: the messages do not suit the model. */
export class TemplateRefusal extends Error {
  override readonly name = "TemplateRefusal";
}

/** @param now is what a template is told that asks for the time. */
export function templateFunctions(now: Date): Readonly<Record<string, Callable>> {
  return {
    raise_exception: ({ positional: [message] }) => {
      throw new TemplateRefusal(str(message, { verbatim: "" }));
    },
    strftime_now: ({ positional: [format] }) => formatTime(now, typeof format === "string" ? format : ""),
  };
}
