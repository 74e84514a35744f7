/** What `tokenizer_config.json` adds to a `tokenizer.json`. Fields that change no token, such as `padding_side`, are passed over. */
import type { OtherSpecialToken } from "../contracts/model-files.ts";
import { checkFields, exactly, flag, isObject, type JsonObject, off, type Rule, wrong } from "./hugging-face-checks.ts";
import type { Vocabulary } from "./vocabulary.ts";

export interface HuggingFaceSettings {
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly otherTokens: Vocabulary["otherTokens"];
  /** Undefined where the file leaves it to the post-processor. */
  readonly addBosToken: boolean | undefined;
}

/** Those that would change what is encoded or decoded. `clean_up_tokenization_spaces` is not among them: BPE never cleans up. */
const rules: Readonly<Record<string, Rule>> = {
  add_bos_token: { says: "be true or false", holds: (value) => value === null || flag.holds(value) },
  add_eos_token: off,
  add_prefix_space: off,
  split_special_tokens: off,
  do_lower_case: off,
  errors: { says: 'be "replace"', holds: (value) => value === undefined || exactly("replace").holds(value) },
};

const otherNames: readonly OtherSpecialToken[] = ["unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

export function readSettings(config: JsonObject): HuggingFaceSettings {
  checkFields("tokenizer_config.json: ", Object.fromEntries(Object.entries(config).filter(([name]) => Object.hasOwn(rules, name))), rules);
  const addBosToken = typeof config.add_bos_token === "boolean" ? config.add_bos_token : undefined;
  const otherTokens = Object.fromEntries(
    otherNames.flatMap((name) => {
      const content = contentOf(config, name);
      return content === undefined ? [] : [[name, content]];
    }),
  );
  return { bosToken: contentOf(config, "bos_token"), eosToken: contentOf(config, "eos_token"), otherTokens, addBosToken };
}

/** A special token is given as its text, or as an object that holds it. */
function contentOf(config: JsonObject, name: string): string | undefined {
  const entry = config[name];
  if (entry === undefined || entry === null) return undefined;
  const content = isObject(entry) ? entry.content : entry;
  if (typeof content === "string") return content;
  throw wrong(`tokenizer_config.json: ${name}`, "be a token's text", entry);
}
