import type { ServiceFailure } from "./errors.ts";

/** What a call between Workers gives: a refusal is a value, never a thrown error. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: ServiceFailure };
