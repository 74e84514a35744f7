/** How much a session may hold: transcript and tokens go from one object to another in one call, which has room for 32 MiB. */
export const mostSessionBytes = 31 << 20;

/** What the tables of a session take before there is anything in them. */
export const emptySessionBytes = 32 << 10;

/** Leaves room for questions. */
export const mostDocumentTokens = 4_000_000;
