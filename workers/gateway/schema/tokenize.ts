/** The bodies of `POST /tokenize` and `POST /detokenize`, in vLLM's shapes. */
import * as z from "zod";
import { messages } from "./messages.ts";
import { asksNothing, isAbsent, onWire, unsupported } from "./parse.ts";
import { chatTools } from "./tools.ts";

const model = z.string().min(1).max(256).nullish();

export const tokenizeBody = z
  .strictObject({
    model,
    prompt: z.string().nullish(),
    messages: messages.nullish(),
    add_special_tokens: z.boolean().nullish(),
    add_generation_prompt: z.boolean().nullish(),
    /** Whether the answer names each token too. */
    return_token_strs: z.boolean().nullish(),
    continue_final_message: unsupported((value) => value === false),
    tools: chatTools,
    chat_template: unsupported(),
    chat_template_kwargs: unsupported(asksNothing()),
    mm_processor_kwargs: unsupported(asksNothing()),
  })
  .refine((body) => isAbsent(body.prompt) !== isAbsent(body.messages), {
    path: ["prompt"],
    message: "or 'messages' must be given, and not both",
  })
  .refine((body) => !isAbsent(body.messages) || isAbsent(body.add_generation_prompt), {
    path: ["add_generation_prompt"],
    message: "needs 'messages'",
  })
  .refine((body) => !isAbsent(body.messages) || body.tools.length === 0, { path: ["tools"], message: "need 'messages'" });

export type TokenizeBody = z.output<typeof tokenizeBody>;

/** Checked by hand, so that a million bad ids are one issue. */
const tokens = onWire(
  z.custom<number[]>(
    (value) => Array.isArray(value) && value.every((item) => Number.isInteger(item) && item >= 0),
    "must be an array of token ids (integers from 0)",
  ),
  z.array(z.int().min(0)),
);

export const detokenizeBody = z.strictObject({ model, tokens });
