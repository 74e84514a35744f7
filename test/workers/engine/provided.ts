/** What the test runner hands to tests inside the runtime, which read no files (`vitest.config.ts`). */
declare module "vitest" {
  export interface ProvidedContext {
    /** A GGUF whose every layer has a state of constant size, base64. */
    constantStateModel: string;
  }
}

export {};
