/** How much is asked, as the environment says: 100 questions about 20,000 tokens take minutes. */
export interface DecisionSettings {
  readonly questions: number;
  /** How long llama.cpp may be asked in each of two ways: it is asked all of them, or as many as it has begun by then. */
  readonly peerSeconds: number;
  /** Of the document. */
  readonly tokens: number;
  /** Of the document that a question's time is compared with. */
  readonly shortTokens: number;
}

/** @throws Error that names the variable, its rule and its value. */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): DecisionSettings {
  return {
    questions: wholeNumber(environment, "DECISIONS_QUESTIONS", 10, 1, 400),
    peerSeconds: wholeNumber(environment, "DECISIONS_PEER_SECONDS", 450, 1, 86_400),
    tokens: wholeNumber(environment, "DECISIONS_TOKENS", 2000, 1100, 100_000),
    shortTokens: 1000,
  };
}

function wholeNumber(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
  fallback: number,
  least: number,
  most: number,
): number {
  const text = environment[name] ?? String(fallback);
  const value = Number(text);
  if (text !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Error(`${name} must be a whole number from ${String(least)} to ${String(most)}; it is "${text}".`);
}
