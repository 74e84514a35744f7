/**
 * What set-up (`infra/local/models/prepare-model.ts`) writes and the Workers read. Shards stay below the 25 MiB that one static asset may have.
 * `dist/engine/model/` is the engine Worker's assets, or what stages are given theirs of (`infra/local/stages`); `dist/models` is the session and the grammar Worker's. The gateway's are
 * `dist/gateway`: the same as `dist/models`, the web page, and in `weights` what visitors' browsers may read.
 */

import type { Cut } from "./stages.ts";

/** `dist/models/models.json`: the models that this deployment knows; the first answers where a request names none. */
export interface ModelIndex {
  readonly models: readonly ModelIndexEntry[];
}

export interface ModelIndexEntry {
  readonly id: string;
  /** Folder of its `manifest.json`, which is its card, among the static assets, such as `/model/`. */
  readonly path: string;
  /** Path of its {@link TokenizerFile} among them, which models may share; null where set-up has not prepared it, and the model can't be used. */
  readonly tokenizer: string | null;
}

/** What Workers without its weights know of a model: `manifest.json` in the folder that the index names. */
export interface ModelCard {
  /** Public model id. */
  readonly id: string;
  /** Unix seconds, for `/v1/models`. */
  readonly created: number;
  readonly ownedBy: string;
  /** sha256 of the weights file, hex; the model digest. Null where only the replicas that serve the model have weights: theirs is it. */
  readonly sha256: string | null;
  /** sha256 of its {@link TokenizerFile}, hex; the tokenizer digest. */
  readonly tokenizerSha256: string;
  /** The longest text the model was trained on, in tokens. */
  readonly contextLength: number;
  readonly form: ModelForm;
  readonly origin: ModelOrigin;
  readonly defaults: SamplingDefaults;
  /** Elements of all its tensors; null where only a backend knows. */
  readonly parameters: number | null;
  /** What it can run on. */
  readonly runsOn: readonly ModelPlace[];
  /** Left out where this deployment does not give its weights away. */
  readonly download?: ModelDownload;
  /** Left out where nobody has measured it. */
  readonly decisions?: DecisionForm;
}

/** How decisions are asked of a model, and what its probabilities are worth, as it was measured (`npm run bench -- calibration`). */
export interface DecisionForm {
  /** What a choice is answered by: a letter, or the option's own first token where no two begin alike. */
  readonly labels: "letters" | "words";
  /** Whether what the model answers about no input at all is taken out of what it answers. */
  readonly prior: boolean;
  /** Of the probabilities of options; 1 leaves them. */
  readonly temperature: number;
}

/** Weights that browsers may read, to run the model themselves: static assets of the gateway, each named by its digest. */
export interface ModelDownload {
  readonly bytes: number;
  /** Its shards in file order; `file` is the name in {@link weightsPath}. */
  readonly files: readonly ModelShard[];
}

/** Where the gateway has them. */
export const weightsPath = "/weights/";

/** `engine`: the WASM engine of this deployment, which has its weights. `pool`: replicas that register it. */
export type ModelPlace = "engine" | "pool";

/** `dist/engine/model/manifest.json`: the card of the model whose weights the engine has, and its files. */
export interface ModelManifest extends ModelCard {
  readonly sha256: string;
  /** Of the whole GGUF. */
  readonly bytes: number;
  /** In file order; concatenated they are the GGUF. */
  readonly shards: readonly ModelShard[];
  /** Where the model is too large for one isolate: what the engine Worker holds of it, and then each stage. */
  readonly stages?: readonly Cut[];
  /** The shards that each of these reads, by their names; no others are beside its manifest. */
  readonly shardsOfStages?: readonly (readonly string[])[];
}

/** How tokens are chosen where a request does not say; named and bounded as in requests. What is left out here is as OpenAI has it. */
export interface SamplingDefaults {
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly repetition_penalty?: number;
}

/** How the model mixes tokens, from the file. */
export interface ModelForm {
  /** Layers that are alike counted together, in order of their first appearance. */
  readonly layers: readonly LayerKind[];
  /** Keys that a window sees, the token's own included; null without windows. */
  readonly window: number | null;
  /** Leading tokens of a text that never leave a window. */
  readonly keptTokens: number;
  /** Learned tokens in front of every text. */
  readonly learnedSinks: number;
  /** Tokens that each KV head keeps exactly after they have left the window; null without evicted-token mixers. */
  readonly salientTokens: number | null;
  readonly kvHeads: number;
  readonly headDim: number;
}

export interface LayerKind {
  /** `full`, `window`, `linear`, two of them joined by `+`, or `evicted`. */
  readonly mixer: string;
  /** `dense` or `moe`. */
  readonly feedForward: string;
  readonly count: number;
}

/** Where the weights come from. */
export interface ModelOrigin {
  /** SPDX id in lower case; null where neither the registry nor the file names one. */
  readonly license: string | null;
  /** Where they are published; null where set-up has them, or nobody has published any. */
  readonly weights: PublishedWeights | null;
  /** The model that this one was converted from; null where there is none. */
  readonly teacher: ModelTeacher | null;
}

export interface PublishedWeights {
  readonly name: string;
  readonly url: string;
}

export interface ModelTeacher {
  readonly name: string;
  readonly url: string;
  readonly license: string | null;
  /** Of the teacher's file, hex. */
  readonly sha256: string;
}

export interface ModelShard {
  /** File name beside the manifest. */
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Special tokens beside `bos_token` and `eos_token`, by the names that transformers gives them in a chat template. */
export type OtherSpecialToken = "unk_token" | "sep_token" | "pad_token" | "cls_token" | "mask_token";

/** What a GGUF, or a folder of Hugging Face's, says of its tokenizer, in a form that needs no reader of those at the edge. */
export interface TokenizerFile {
  /** `tokenizer.ggml.model`; only `gpt2` (byte-level BPE) is served. */
  readonly model: string;
  /** `tokenizer.ggml.pre`: the pre-tokenizer family, such as `smollm`, `qwen2`, `gpt-2`. */
  readonly pre: string;
  readonly tokens: readonly string[];
  /** `tokenizer.ggml.token_type`, by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  readonly tokenTypes: readonly number[];
  /** In rank order, each `left right`. */
  readonly merges: readonly string[];
  readonly bosTokenId: number | null;
  /** Every id that ends a turn; first the one that the file itself calls its end, which is what a chat template calls `eos_token`. */
  readonly eosTokenIds: readonly number[];
  readonly addBosToken: boolean;
  /** The other special tokens that the file names; left out where it names none. */
  readonly otherTokenIds?: Readonly<Partial<Record<OtherSpecialToken, number>>>;
  readonly chatTemplate: string | null;
}
