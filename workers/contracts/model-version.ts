/** One model, exactly: after a deployment the same id may name other weights, or another tokenizer. */
export interface ModelVersion {
  /** Public model id, as in `/v1/models`. */
  readonly id: string;
  /** sha256 of the weights file, hex. */
  readonly digest: string;
  /** sha256 of what the tokenizer is made from, hex. */
  readonly tokenizerDigest: string;
}
