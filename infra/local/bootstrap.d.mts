export function dependenciesAreCurrent(root: string): boolean;
export function ensureDependencies(root: string): Promise<void>;
export function nodeIsRecentEnough(version: string): boolean;
export function runScript(scriptAndArguments: readonly string[]): void;
