/** What the set-up hands to tests inside the runtime, which start no processes and read no files. */
declare module "vitest" {
  export interface ProvidedContext {
    replica: {
      readonly url: string;
      readonly key: string;
      /** The model's file, base64, and its digest. */
      readonly model: string;
      readonly digest: string;
      readonly tokenizerDigest: string;
    };
    /** vLLM's own server, of the same model. */
    plain: { readonly url: string; readonly key: string };
  }
}

export {};
