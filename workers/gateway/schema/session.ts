/** Bodies and queries of sessions, contexts and shares. */
import * as z from "zod";

const nameLimit = 200;
const mostShareSeconds = 30 * 24 * 3600;

const name = z.string().max(nameLimit);
const model = z.string().min(1).max(256);
const turn = z.int().min(0);

export const newSessionBody = z
  .strictObject({
    model,
    name: name.nullish(),
    from: z
      .strictObject({ session_id: z.string().nullish(), context_id: z.string().nullish(), turn: turn.nullish() })
      .refine(({ session_id: session, context_id: context }) => (session ?? null) === null || (context ?? null) === null, {
        message: "names a session or a context, not both",
      })
      .refine(({ session_id: session, context_id: context }) => (session ?? context ?? null) !== null, {
        message: "must name a session or a context",
      })
      .nullish(),
    share: z.string().nullish(),
  })
  .refine(({ from, share }) => (from ?? null) === null || (share ?? null) === null, { path: ["share"], message: "excludes 'from'" });

export const newContextBody = z.strictObject({ model, name: name.nullish() });
export const renameBody = z.strictObject({ name });
export const rewindBody = z.strictObject({ turn });
export const forkBody = z.strictObject({ turn: turn.nullish(), name: name.nullish() });
export const shareBody = z.strictObject({ expires_in: z.int().min(1).max(mostShareSeconds).nullish() });
export const exportBody = z.strictObject({ passphrase: z.string().min(1).max(1024).nullish() });

/** Of a query, whose values are text. */
export const wholeNumber = (minimum: number, maximum: number) =>
  z
    .string({ error: "must be a whole number" })
    .regex(/^\d+$/, { error: "must be a whole number" })
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, { error: `must be from ${String(minimum)} to ${String(maximum)}` });

export const listQuery = z.strictObject({ limit: wholeNumber(1, 100).optional(), after: z.string().optional() });
export const sharesQuery = z.strictObject({
  limit: wholeNumber(1, 100).optional(),
  after: z.string().optional(),
  session_id: z.string().optional(),
});
export const turnsQuery = z.strictObject({
  limit: wholeNumber(1, 1000).optional(),
  after: wholeNumber(0, Number.MAX_SAFE_INTEGER).optional(),
});
export const uploadQuery = z.strictObject({
  offset: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  last: z.enum(["true", "false"]).optional(),
});
export const newContextQuery = z.strictObject({ model, name: name.optional() });
