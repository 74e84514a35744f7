/** The query of `GET /v1/models`. */
import * as z from "zod";
import { wholeNumber } from "./session.ts";

/** Anthropic's clients may send one; all models are listed in any case, so that it must be no bound. */
export const modelsQuery = z.strictObject({ limit: wholeNumber(1, 1000).optional() });
