/**
 * A byte-level tokenizer small enough to read: one token a byte, a few merges, the control tokens of a chat. It has no merges for
 * characters beyond ASCII, so each of those takes several tokens, which is what streaming must get right.
 */
import type { ModelVersion } from "../../../workers/contracts/model-version.ts";
import type { ModelCard, ModelManifest, TokenizerFile } from "../../../workers/contracts/model-files.ts";

const merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġw o", "Ġwo r", "Ġwor l", "Ġworl d"];
const controlTokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

const tokens = [...byteAlphabet(), ...merges.map((merge) => merge.replace(" ", "")), ...controlTokens];

export const tinyTokenizer: TokenizerFile = {
  model: "gpt2",
  pre: "gpt-2",
  tokens,
  tokenTypes: tokens.map((token) => (controlTokens.includes(token) ? 3 : 1)),
  merges: merges,
  bosTokenId: tokens.indexOf("<|im_start|>"),
  eosTokenIds: [tokens.indexOf("<|im_end|>")],
  addBosToken: false,
  chatTemplate:
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
};

export const tinyManifest: ModelManifest = {
  id: "tiny",
  created: 1_700_000_000,
  ownedBy: "tests",
  sha256: "0".repeat(64),
  tokenizerSha256: "2".repeat(64),
  bytes: 0,
  shards: [],
  contextLength: 512,
  form: {
    layers: [
      { mixer: "linear+window", feedForward: "dense", count: 2 },
      { mixer: "full", feedForward: "moe", count: 1 },
    ],
    window: 16,
    keptTokens: 0,
    learnedSinks: 1,
    salientTokens: null,
    kvHeads: 2,
    headDim: 8,
  },
  origin: {
    license: "apache-2.0",
    weights: null,
    teacher: { name: "Big", url: "https://example.com/big", license: null, sha256: "1".repeat(64) },
  },
  defaults: {},
  parameters: null,
  runsOn: ["engine", "pool"],
};

/** Another model beside the tiny one: small and capital letters have each other's ids, so that tokens of one mean other text to the other. */
export const swappedTokenizer: TokenizerFile = { ...tinyTokenizer, tokens: tokens.map(swapCase), merges: [] };

export const swappedManifest: ModelManifest = {
  ...tinyManifest,
  id: "swapped",
  sha256: "3".repeat(64),
  tokenizerSha256: "4".repeat(64),
  defaults: { temperature: 0.2, top_p: 0.9, top_k: 40, min_p: 0.05, repetition_penalty: 1.1 },
};

/** A model whose backend computes tokens and has no ability beside. */
export const plainManifest: ModelManifest = { ...tinyManifest, id: "plain", sha256: "5".repeat(64) };

/** One that only replicas have, with the tiny one's tokenizer. */
export const pooledCard: ModelCard = {
  ...{ id: "pooled", created: 1_700_000_001, ownedBy: "tests", sha256: null, tokenizerSha256: tinyManifest.tokenizerSha256 },
  ...{ contextLength: 1024, form: { ...tinyManifest.form, layers: [{ mixer: "linear", feedForward: "dense", count: 2 }], window: null } },
  origin: { license: null, weights: { name: "Pooled", url: "https://example.com/pooled" }, teacher: null },
  ...{ defaults: {}, parameters: 1_000_000, runsOn: ["pool"] },
};

function swapCase(token: string): string {
  if (!/^[a-z]$/i.test(token)) return token;
  return token === token.toLowerCase() ? token.toUpperCase() : token.toLowerCase();
}

export const versionOf = ({ id, sha256, tokenizerSha256 }: ModelManifest): ModelVersion => ({
  id,
  digest: sha256,
  tokenizerDigest: tokenizerSha256,
});

export const idOf = (token: string): number => {
  const id = tokens.indexOf(token);
  if (id < 0) throw new Error(`no such token: ${token}`);
  return id;
};

export const endOfTurn = idOf("<|im_end|>");

/** One token a byte. */
export const bytesAsTokens = (text: string): number[] =>
  Array.from(new TextEncoder().encode(text), (byte) => idOf(byteAlphabet()[byte] ?? ""));

/** GPT-2's printable stand-in for each byte, in byte order. */
function byteAlphabet(): string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_unused, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}
