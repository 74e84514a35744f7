/** Bodies of conversations. */
import * as z from "zod";
import { metadata, modelId } from "./generation-fields.ts";
import { isEmptyArray, unsupported } from "./parse.ts";

export const newConversationBody = z.strictObject({
  /** An extension: the model whose tokens it holds; the first of the deployment's unless named. */
  model: modelId.nullish(),
  metadata,
  items: unsupported(isEmptyArray, "'items' is not supported by this server: what is said in a conversation comes with its responses."),
});

/** `null` takes what there is away. */
export const conversationBody = z
  .strictObject({ metadata })
  .refine((body) => body.metadata !== undefined, { path: ["metadata"], message: "must be given" });
