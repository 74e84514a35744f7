/** Tokens whose keys and values are one page of a state file (`wasm/STATE_FORMAT.md`). */
export const pageTokens = 32;
