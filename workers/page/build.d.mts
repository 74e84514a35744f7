export interface BuiltFile {
  readonly file: string;
  readonly bytes: number;
  readonly gzipBytes: number;
  /** Not loaded by a first visit. */
  readonly lazy: boolean;
}

/** Writes index.html, `_headers` and `assets/` into `outDir` (the gateway's assets unless given) and leaves everything else there alone. */
export function buildPage(options?: { readonly outDir?: string }): Promise<BuiltFile[]>;
