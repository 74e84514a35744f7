/** The normalizer, pre-tokenizer, post-processor and decoder of a `tokenizer.json`: each field is honoured as `tokenizers` does, or refused. */
import {
  anything,
  checkFields,
  exactly,
  flag,
  isObject,
  type JsonObject,
  listAt,
  objectAt,
  type Rule,
  wrong,
} from "./hugging-face-checks.ts";
import { type Family, supportedFamilies } from "./pre-tokenizer.ts";

const qwen2Expression =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const shapes: Readonly<Record<Family, readonly string[]>> = {
  "gpt-2": ["none", "ByteLevel with expression"],
  smollm: ["none", "Digits", "ByteLevel with expression"],
  qwen2: ["NFC", "Split", "ByteLevel"],
};

/** `trim_offsets` moves offsets only, which nobody here asks for. */
const preTokenizers: Readonly<Record<string, Readonly<Record<string, Rule>>>> = {
  ByteLevel: { add_prefix_space: exactly(false), trim_offsets: flag, use_regex: flag },
  Digits: { individual_digits: exactly(true) },
  Split: { pattern: exactly({ Regex: qwen2Expression }), behavior: exactly("Isolated"), invert: exactly(false) },
};

/** Of a byte-level post-processor or decoder, which reads none of them. */
const byteLevelFlags = { add_prefix_space: flag, trim_offsets: flag, use_regex: flag };

export function familyOf(normalizer: unknown, preTokenizer: unknown): Family {
  const shape = [normalizerName(normalizer), ...stepNames("tokenizer.json: pre_tokenizer", preTokenizer)];
  const family = supportedFamilies.find((name) => JSON.stringify(shapes[name]) === JSON.stringify(shape));
  if (family) return family;
  throw wrong("tokenizer.json: normalizer and pre_tokenizer", `be those of ${supportedFamilies.join(", ")}`, shape);
}

export function checkDecoder(decoder: unknown): void {
  const path = "tokenizer.json: decoder";
  checkFields(path, objectAt(path, decoder), { type: exactly("ByteLevel"), ...byteLevelFlags });
}

/** The ids of the tokens that the post-processor puts before a text: none or one. */
export function tokensBefore(postProcessor: unknown, path = "tokenizer.json: post_processor"): readonly number[] {
  if (postProcessor === null || postProcessor === undefined) return [];
  const object = objectAt(path, postProcessor);
  switch (object.type) {
    case "ByteLevel":
      checkFields(path, object, { type: anything, ...byteLevelFlags });
      return [];
    case "Sequence": {
      checkFields(path, object, { type: anything, processors: anything });
      const before = listAt(`${path}.processors`, object.processors).flatMap((one, at) =>
        tokensBefore(one, `${path}.processors[${String(at)}]`),
      );
      if (before.length > 1) throw wrong(`${path}.processors`, "put at most one token before a text", before);
      return before;
    }
    case "TemplateProcessing":
      return tokensOfTemplate(object, path);
    default:
      throw wrong(`${path}.type`, 'be "ByteLevel" or "TemplateProcessing" or "Sequence"', object.type);
  }
}

/** `pair` is for two texts at once, which no model here reads. */
function tokensOfTemplate(object: JsonObject, path: string): readonly number[] {
  checkFields(path, object, { type: anything, single: anything, pair: anything, special_tokens: anything });
  const names = listAt(`${path}.single`, object.single).map(nameOfPart);
  const [first] = names;
  if (names.length === 1 && first === null) return [];
  if (names.length !== 2 || typeof first !== "string" || names[1] !== null)
    throw wrong(`${path}.single`, "be the text, or one special token and the text", object.single);
  const where = `${path}.special_tokens[${JSON.stringify(first)}]`;
  const token = objectAt(where, objectAt(`${path}.special_tokens`, object.special_tokens)[first]);
  const ids = listAt(`${where}.ids`, token.ids);
  if (ids.length !== 1 || !Number.isInteger(ids[0])) throw wrong(`${where}.ids`, "be one token's id", ids);
  return [Number(ids[0])];
}

/** A special token's name, null for the text, undefined for what is neither. */
function nameOfPart(part: unknown): string | null | undefined {
  if (!isObject(part)) return undefined;
  const { SpecialToken: token, Sequence: sequence } = part;
  if (isObject(sequence) && sequence.id === "A") return null;
  return isObject(token) && typeof token.id === "string" ? token.id : undefined;
}

function normalizerName(normalizer: unknown): string {
  if (normalizer === null || normalizer === undefined) return "none";
  const path = "tokenizer.json: normalizer";
  checkFields(path, objectAt(path, normalizer), { type: exactly("NFC") });
  return "NFC";
}

function stepNames(path: string, step: unknown): readonly string[] {
  const object = objectAt(path, step);
  const { type, ...fields } = object;
  if (type === "Sequence") {
    checkFields(path, fields, { pretokenizers: anything });
    return listAt(`${path}.pretokenizers`, object.pretokenizers).flatMap((one, at) =>
      stepNames(`${path}.pretokenizers[${String(at)}]`, one),
    );
  }
  const rules = typeof type === "string" && Object.hasOwn(preTokenizers, type) ? preTokenizers[type] : undefined;
  if (!rules) throw wrong(`${path}.type`, 'be "ByteLevel" or "Digits" or "Split" or "Sequence"', type);
  checkFields(path, fields, rules);
  return [type === "ByteLevel" && object.use_regex !== false ? "ByteLevel with expression" : String(type)];
}
