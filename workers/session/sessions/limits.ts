/** How long a conversation may grow: its tokens go from one object to another in one call, which has room for 32 MiB. */
export const MOST_CONVERSATION_TOKENS = 1 << 22;

/** Leaves room for questions. */
export const MOST_DOCUMENT_TOKENS = 4_000_000;
