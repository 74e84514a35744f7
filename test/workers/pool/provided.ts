/** What the test runner hands to the chaos test (`vitest.config.ts`). */
declare module "vitest" {
  export interface ProvidedContext {
    chaos: { readonly streams: number; readonly seed: number };
  }
}

export {};
