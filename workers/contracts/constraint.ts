/**
 * What an answer's text must be, as text: the same words to every backend, in an order that is stored and in one that is sent. A backend that holds
 * to it takes the tokens that cannot lead to such a text from the choice, before temperature and everything after it. Log-probabilities are those of
 * the model, as without a constraint.
 */
import type { Outcome } from "./outcome.ts";
import type { ServiceFailure } from "./errors.ts";
import { invalidField } from "./request/failures.ts";

export const constraintKinds = ["json_schema", "json_object", "regex", "choice", "lark"] as const;
export type ConstraintKind = (typeof constraintKinds)[number];

export interface Constraint {
  readonly kind: ConstraintKind;
  /**
   * By kind: a JSON schema as JSON; empty; a regular expression, which the whole text matches; a JSON array of texts, of which the text is one; a
   * grammar in llguidance's form of Lark, in which `%json { … }` stands for a value that fits a schema.
   */
  readonly text: string;
}

/** Longest text of a constraint, in UTF-16 units. */
export const constraintLength = 65_536;
/** Most texts of a choice. */
export const mostChoices = 1024;

/**
 * What is wrong with a constraint's form; whether its grammar can be held to, the service below says.
 * @param value is only promised to be one: it came over RPC.
 */
export function constraintRefusalOf(value: unknown, param = "constraint"): ServiceFailure | undefined {
  if (typeof value !== "object" || value === null) return invalidField(param, "must be an object", value);
  const { kind, text } = value as Partial<Constraint>;
  if (kind === undefined || !constraintKinds.includes(kind))
    return invalidField(`${param}.kind`, `must be one of ${constraintKinds.join(", ")}`, kind);
  if (typeof text !== "string") return invalidField(`${param}.text`, "must be a string", text);
  if (text.length > constraintLength) return invalidField(`${param}.text`, `may have ${String(constraintLength)} characters`, text.length);
  return textRules[kind](text, `${param}.text`);
}

const textRules: Readonly<Record<ConstraintKind, (text: string, param: string) => ServiceFailure | undefined>> = {
  json_schema(text, param) {
    const schema = parsed(text);
    const isSchema = typeof schema === "boolean" || (typeof schema === "object" && schema !== null && !Array.isArray(schema));
    return isSchema ? undefined : invalidField(param, "must be the JSON of an object, or of true or false", schema);
  },
  json_object: (text, param) => (text === "" ? undefined : invalidField(param, "must be empty for any JSON object", text)),
  regex: notEmpty,
  choice(text, param) {
    const texts = parsed(text);
    const areTexts = Array.isArray(texts) && texts.length > 0 && texts.every((one) => typeof one === "string" && one !== "");
    if (!areTexts) return invalidField(param, "must be the JSON of an array of texts that are not empty", texts);
    return texts.length <= mostChoices ? undefined : invalidField(param, `may hold ${String(mostChoices)} texts`, texts);
  },
  lark: notEmpty,
};

function notEmpty(text: string, param: string): ServiceFailure | undefined {
  return text === "" ? invalidField(param, "must not be empty", text) : undefined;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}

/** What comes next in a text that is held to a constraint. */
export interface GrammarStep {
  /** Tokens of which each is the only way on, in order: they follow without a choice, and the matcher has taken them. */
  readonly forced: Uint32Array;
  /** One bit a token id, the lowest bit of the first byte first: which may come then. Null where the text is whole and nothing may follow. */
  readonly mask: Uint8Array | null;
  /** Whether the text may end there. */
  readonly mayEnd: boolean;
}

/** One text on its way: a function of its constraint and its tokens alone, so that it can be made again anywhere. Released when it is of no use. */
export interface TextMatcher {
  /** Takes tokens in that the last step's mask allowed. */
  accept(tokens: Uint32Array): Promise<Outcome<GrammarStep>>;
  /** Takes the last so many tokens back, forced ones among them. */
  rollback(tokens: number): Promise<Outcome<GrammarStep>>;
}

export interface OpenedText {
  readonly matcher: TextMatcher;
  readonly step: GrammarStep;
}

export interface GrammarOrder {
  readonly constraint: Constraint;
  /** Of the model whose tokens it is about; any model with this tokenizer will do. */
  readonly model: string;
  readonly tokenizerDigest: string;
  readonly vocabularySize: number;
  /** Tokens of the text that are there already. */
  readonly tokens: Uint32Array;
}

/** The grammar Worker's RPC surface. */
export interface GrammarService {
  /** Whether a text can be held to it, whatever the model. What can't be is refused with a message that names why. */
  check(constraint: Constraint): Promise<Outcome<null>>;
  open(order: GrammarOrder): Promise<Outcome<OpenedText>>;
}
