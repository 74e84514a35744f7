export interface Holder {
  readonly pid: number;
  readonly [field: string]: unknown;
}
export interface Lock {
  release(): void;
}
export function nameOf(path: string): string;
export function tryLock(name: string, about: Readonly<Record<string, unknown>>): Promise<Lock | { readonly holder: Holder }>;
export function withLock<T>(name: string, what: string, task: () => T | Promise<T>): Promise<T>;
export function holders(start: string): Promise<Holder[]>;
