/** A chat template, rendered as transformers renders it with Jinja2 3.1.6; whatever is not served is refused when the template is made. */
import { parseTemplate } from "./parsing.ts";
import { Scope } from "./scope.ts";
import type { Statement } from "./statement.ts";
import { compileBody } from "./statements.ts";
import {
  bind,
  type Callable,
  fromJson,
  intArgument,
  iterate,
  Namespace,
  sequence,
  TemplateError,
  textArgument,
  type Value,
  View,
} from "./values.ts";

/** A longer range can only be meant to exhaust the Worker. */
const longestRange = 100_000;

export class JinjaTemplate {
  readonly #body: Statement;

  /** @throws Error that says what in the source is wrong or not served. */
  constructor(source: string) {
    this.#body = compileBody(parseTemplate(source));
  }

  /**
   * @param variables are JSON's values, and functions as {@link Callable}.
   * @param verbatim are characters that nothing escapes, since they are taken out of the text again.
   * @throws Error where Jinja2 would, or where the values need what is not served.
   */
  render(variables: Readonly<Record<string, unknown>>, verbatim = ""): string {
    const scope = new Scope({ verbatim });
    for (const [name, value] of Object.entries(globals)) scope.set(name, value);
    for (const [name, value] of Object.entries(variables)) scope.set(name, fromJson(value));
    const output = { text: "" };
    this.#body(scope.inner(), output);
    return output.text;
  }
}

function attributesOf(called: string, positional: readonly Value[], named: ReadonlyMap<string, Value>): Map<string, Value> {
  if (positional.length > 1) throw new TemplateError(`${called} expected at most 1 argument, got ${String(positional.length)}`);
  const [first] = positional;
  const entries = first instanceof Map ? [...first] : first === undefined ? [] : iterate(first).map((pair) => sequence(pair) ?? []);
  const texts = entries.map(([key, value]) => [textArgument(called, key), value] as const);
  return new Map([...texts, ...named]);
}

const range: Callable = (input) => {
  const { first, second, step = 1 } = bind("range", input, ["first", "second", "step"], 1);
  const [start, stop] =
    second === undefined ? [0, intArgument("range", first)] : [intArgument("range", first), intArgument("range", second)];
  const by = intArgument("range", step);
  const length = Math.max(0, Math.ceil((stop - start) / by));
  const printed = `range(${[start, stop, ...(by === 1 ? [] : [by])].map(String).join(", ")})`;
  if (!Number.isInteger(length) || length > longestRange)
    throw new TemplateError(`${printed} is not a range of at most ${String(longestRange)} numbers`);
  return new View(
    printed,
    Array.from({ length }, (_, index) => start + index * by),
  );
};

const globals: Readonly<Record<string, Value>> = {
  range,
  dict: ({ positional, named }) => attributesOf("dict", positional, named),
  namespace: ({ positional, named }) => {
    const attributes = attributesOf("namespace", positional, named);
    const hidden = [...attributes.keys()].find((name) => name.startsWith("_"));
    if (hidden !== undefined) throw new TemplateError(`a namespace has no attribute '${hidden}'`);
    return new Namespace(attributes);
  },
};
