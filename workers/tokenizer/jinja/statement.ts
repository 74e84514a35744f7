/** What a statement is once it is compiled. */
import type { Scope } from "./scope.ts";
import type { Node } from "./tree.ts";

export interface Output {
  text: string;
}

/** What ends an iteration of a loop early. */
export type Signal = "break" | "continue" | undefined;
export type Statement = (scope: Scope, output: Output) => Signal;
/** Handed to those statements that have bodies, which hold statements again. */
export type CompileBody = (nodes: readonly Node[]) => Statement;
