/** How long a conversation may grow. */
export const mostConversationTokens = 1 << 22;
