/** Queries of responses and of conversations. */
import * as z from "zod";
import { includes } from "./response.ts";
import { wholeNumber } from "./session.ts";

const included = z.enum(includes).optional();
const include = { include: included, "include[]": included };

export const responseQuery = z
  .strictObject({
    ...include,
    stream: z.enum(["true", "false"]).optional(),
    starting_after: wholeNumber(0, Number.MAX_SAFE_INTEGER).optional(),
    /** Whatever it says, nothing is added to hide the length of what is sent. */
    include_obfuscation: z.enum(["true", "false"]).optional(),
  })
  .refine(({ stream, starting_after: after }) => after === undefined || stream === "true", {
    path: ["starting_after"],
    message: "needs 'stream' to be true",
  });

export const itemsQuery = z.strictObject({
  ...include,
  limit: wholeNumber(1, 100).optional(),
  order: z.enum(["asc", "desc"]).optional(),
  after: z.string().optional(),
});

export const itemQuery = z.strictObject(include);

export type ItemsQuery = z.output<typeof itemsQuery>;
