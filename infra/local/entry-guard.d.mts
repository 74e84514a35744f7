export interface Entry {
  fetch(request: Request, env: Readonly<Record<string, unknown>>, context: unknown): Promise<Response>;
}
export interface GuardOptions {
  readonly anyHost: boolean;
  readonly startId: string;
  readonly first?: { readonly worker: string; readonly paths: readonly string[] } | null;
}
export function guarded(entry: Entry, options: GuardOptions): Entry;
