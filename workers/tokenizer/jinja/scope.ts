/** Names and their values; an inner scope sees the outer ones and sets its own only. */
import type { Rendering, Value } from "./values.ts";

export class Scope {
  readonly rendering: Rendering;
  readonly #values = new Map<string, Value>();
  readonly #outer: Scope | undefined;

  constructor(rendering: Rendering, outer?: Scope) {
    this.rendering = rendering;
    this.#outer = outer;
  }

  inner(): Scope {
    return new Scope(this.rendering, this);
  }

  get(name: string): Value {
    return this.#values.has(name) ? this.#values.get(name) : this.#outer?.get(name);
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }
}
