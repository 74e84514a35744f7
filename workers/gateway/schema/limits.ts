/** Bounds on what one request may ask for. Each keeps the work or memory of a single request small against a 128 MB isolate. */

/** Whole body. */
export const bodyLimitBytes = 4 * 1024 * 1024;
/** Choices for each prompt. */
export const choicesLimit = 8;
/** Generations that one request fans out to: prompts times choices. */
export const generationsLimit = 32;
/** Prompt tokens of all those generations: each crosses to the engine with a prompt of its own. */
export const generationsTokensLimit = 262_144;
/** Models that a request names to answer in the place of another. */
export const fallbacksLimit = 8;
/** Chat messages; with the limit on parts it bounds how many issues validation can report. */
export const messagesLimit = 1024;
export const partsLimit = 64;
/** Stop strings, and UTF-16 units in each: held back text is at most one stop string long. */
export const stopsLimit = 16;
export const stopLengthLimit = 256;
export const stopTokensLimit = 64;
export const logitBiasLimit = 1024;
export const allowedTokensLimit = 16_384;
/** Words that an answer does not hold, and UTF-16 units in each: two series of tokens at most, of at most so many. */
export const badWordsLimit = 64;
export const badWordLengthLimit = 60;
/** Alternatives beside a token. */
export const topLogprobsLimit = 20;

/** Functions that may be called, and characters of all of them as JSON: they are told in the prompt, and make a grammar. */
export const toolsLimit = 128;
export const toolsLength = 65_536;
/** Calls in one message. */
export const callsLimit = 128;

/** Most bytes of what a node says of a replica. */
export const nodeMessageBytes = 65_536;
