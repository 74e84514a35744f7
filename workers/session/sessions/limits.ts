/** How long a conversation may grow: its tokens go from one object to another in one call, which has room for 32 MiB. */
export const mostConversationTokens = 1 << 22;

/** Leaves room for questions. */
export const mostDocumentTokens = 4_000_000;
