/**
 * Finds calls of functions (`models/call-form.ts`) in text that arrives in deltas, however it is cut. A function of the text alone. What could still
 * become a call is held back, so that nothing is ever shown that would have to be taken back.
 */
import type { FunctionCall } from "../../../contracts/transcript.ts";
import { callEnd, callStart } from "../../../models/call-form.ts";
import { JsonValueEnd } from "./json-value-end.ts";

export type ParsedDelta =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "call";
      readonly call: number;
      readonly begun?: { readonly id: string; readonly name: string };
      readonly arguments: string;
    };

/** `head`: its name has not come whole; `tail`: what is between its arguments and its end. */
type State = "text" | "head" | "arguments" | "tail";

const head = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)/;

export class CallParser {
  /** What ids of calls begin with. */
  readonly #id: string;
  readonly #calls: { readonly id: string; readonly name: string; arguments: string }[] = [];
  #state: State = "text";
  #pending = "";
  #end = new JsonValueEnd();
  #text = "";

  constructor(id: string) {
    this.#id = id;
  }

  /** Those that have a name so far. */
  get calls(): readonly FunctionCall[] {
    return this.#calls;
  }

  /** What was said before and beside them. */
  get text(): string {
    return this.#text;
  }

  /** Whether there are calls, each of which has its end. */
  get isWhole(): boolean {
    return this.#calls.length > 0 && this.#state === "text";
  }

  push(text: string): ParsedDelta[] {
    this.#pending += text;
    const deltas: ParsedDelta[] = [];
    for (let state: State | undefined; state !== this.#state;) {
      state = this.#state;
      deltas.push(...this.#take());
    }
    return deltas;
  }

  /** What was held back, once no more text can come. Of a call without a name nothing is told. */
  finish(): ParsedDelta[] {
    const held = this.#state === "text" && !(this.isWhole && this.#pending.trim() === "") ? this.#pending : "";
    this.#pending = "";
    return this.#said(held);
  }

  #take(): ParsedDelta[] {
    switch (this.#state) {
      case "text":
        return this.#takeText();
      case "head":
        return this.#takeHead();
      case "arguments":
        return this.#takeArguments();
      case "tail": {
        const at = this.#pending.indexOf(callEnd);
        if (at >= 0) this.#go("text", at + callEnd.length);
        return [];
      }
    }
  }

  #takeText(): ParsedDelta[] {
    const at = this.#pending.indexOf(callStart);
    if (at >= 0) {
      // The line break before a call is none of what is said.
      const said = this.#pending.slice(0, at).trimEnd();
      this.#go("head", at + callStart.length);
      return this.#said(said);
    }
    const said = this.#pending.slice(0, this.#pending.length - openEnding(this.#pending)).trimEnd();
    this.#pending = this.#pending.slice(said.length);
    return this.#said(said);
  }

  #takeHead(): ParsedDelta[] {
    const [whole, name] = head.exec(this.#pending) ?? [];
    if (whole === undefined || name === undefined) return [];
    const call = this.#calls.length;
    const begun = { id: `${this.#id}_${String(call)}`, name: JSON.parse(name) as string };
    this.#calls.push({ ...begun, arguments: "" });
    this.#end = new JsonValueEnd();
    this.#go("arguments", whole.length);
    return [{ kind: "call", call, begun, arguments: "" }];
  }

  #takeArguments(): ParsedDelta[] {
    const end = this.#end.push(this.#pending);
    const given = this.#pending.slice(0, end);
    const call = this.#calls.length - 1;
    const now = this.#calls[call];
    if (now !== undefined) now.arguments += given;
    if (end === undefined) this.#pending = "";
    else this.#go("tail", end);
    return given === "" ? [] : [{ kind: "call", call, arguments: given }];
  }

  #go(state: State, taken: number): void {
    this.#state = state;
    this.#pending = this.#pending.slice(taken);
  }

  #said(text: string): ParsedDelta[] {
    this.#text += text;
    return text === "" ? [] : [{ kind: "text", text }];
  }
}

/** Length of the longest ending that a call's start begins with. */
function openEnding(text: string): number {
  for (let length = Math.min(callStart.length - 1, text.length); length > 0; length--)
    if (text.endsWith(callStart.slice(0, length))) return length;
  return 0;
}
