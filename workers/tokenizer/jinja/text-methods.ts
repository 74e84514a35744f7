/** The methods of Python's `str`. */
import { capitalize, isSpace, lines, strip, stripEnd, stripStart, title, words } from "./characters.ts";
import {
  type Arguments,
  bind,
  characters,
  intArgument,
  iterate,
  lengthOf,
  type Rendering,
  TemplateError,
  textArgument,
  truthy,
  Tuple,
  type Value,
} from "./values.ts";

type Method = (text: string, input: Arguments, rendering: Rendering) => Value;

/** Python has them, and templates that call them are refused when they are loaded. */
export const unservedTextMethods: ReadonlySet<string> = new Set(
  "casefold encode expandtabs format format_map isidentifier isprintable istitle maketrans swapcase translate".split(" "),
);

const plain =
  (name: string, make: (text: string) => Value): Method =>
  (text, input) => {
    bind(name, input, []);
    return make(text);
  };

const optionalText = (called: string, value: Value): string | undefined =>
  value === undefined || value === null ? undefined : textArgument(called, value);

const stripping =
  (name: string, make: (text: string, chars?: string) => string): Method =>
  (text, input) =>
    make(text, optionalText(name, bind(name, input, ["chars"]).chars));

const everyCharacter =
  (name: string, pattern: RegExp): Method =>
  (text, input) =>
    plain(name, (one) => one !== "" && characters(one).every((character) => pattern.test(character)))(text, input, { verbatim: "" });

const affix =
  (name: "startswith" | "endswith"): Method =>
  (text, input) => {
    const { affix: wanted } = bind(name, input, ["affix"], 1);
    const all = wanted instanceof Tuple ? wanted.items : [wanted];
    const has = (one: string): boolean => (name === "startswith" ? text.startsWith(one) : text.endsWith(one));
    return all.some((one) => has(textArgument(name, one)));
  };

const without =
  (name: "removeprefix" | "removesuffix"): Method =>
  (text, input) => {
    const wanted = textArgument(name, bind(name, input, ["affix"], 1).affix);
    if (name === "removeprefix") return text.startsWith(wanted) ? text.slice(wanted.length) : text;
    return wanted !== "" && text.endsWith(wanted) ? text.slice(0, -wanted.length) : text;
  };

const position =
  (name: string, last: boolean, required: boolean): Method =>
  (text, input) => {
    const wanted = textArgument(name, bind(name, input, ["sub"], 1).sub);
    const at = last ? text.lastIndexOf(wanted) : text.indexOf(wanted);
    if (at < 0 && required) throw new TemplateError("substring not found");
    return at < 0 ? -1 : lengthOf(text.slice(0, at));
  };

const parting =
  (name: string, last: boolean): Method =>
  (text, input) => {
    const separator = separatorOf(name, bind(name, input, ["sep"], 1).sep);
    const at = last ? text.lastIndexOf(separator) : text.indexOf(separator);
    if (at < 0) return new Tuple(last ? ["", "", text] : [text, "", ""]);
    return new Tuple([text.slice(0, at), separator, text.slice(at + separator.length)]);
  };

const padding =
  (name: string, share: (missing: number, width: number) => number): Method =>
  (text, input) => {
    const { width, fill = " " } = bind(name, input, ["width", "fill"], 1);
    const wide = intArgument(name, width);
    const missing = Math.max(0, wide - lengthOf(text));
    const before = share(missing, wide);
    return textArgument(name, fill).repeat(before) + text + textArgument(name, fill).repeat(missing - before);
  };

function separatorOf(name: string, value: Value): string {
  const separator = textArgument(name, value);
  if (separator === "") throw new TemplateError("empty separator");
  return separator;
}

const splitting =
  (name: "split" | "rsplit"): Method =>
  (text, input) => {
    const { sep, maxsplit = -1 } = bind(name, input, ["sep", "maxsplit"]);
    const limit = intArgument(name, maxsplit) < 0 ? Infinity : intArgument(name, maxsplit);
    if (sep === undefined || sep === null) return name === "split" ? words(text, limit) : wordsFromEnd(text, limit);
    const separator = separatorOf(name, sep);
    const parts = text.split(separator);
    if (parts.length - 1 <= limit) return parts;
    if (name === "split") return [...parts.slice(0, limit), parts.slice(limit).join(separator)];
    const kept = parts.length - limit;
    return [parts.slice(0, kept).join(separator), ...parts.slice(kept)];
  };

function wordsFromEnd(text: string, limit: number): string[] {
  const reversed = (one: string): string => characters(one).reverse().join("");
  return words(reversed(text), limit).map(reversed).reverse();
}

export function replaceText(text: string, input: Arguments): string {
  const { old, new: made, count } = bind("replace", input, ["old", "new", "count"], 2);
  const [from, to] = [textArgument("replace", old), textArgument("replace", made)];
  const most = count === undefined || count === null ? -1 : intArgument("replace", count);
  const parts = from === "" ? ["", ...characters(text), ""] : text.split(from);
  if (most < 0 || parts.length - 1 <= most) return parts.join(to);
  return [...parts.slice(0, most), parts.slice(most).join(from)].join(to);
}

export const textMethods: Readonly<Record<string, Method>> = {
  capitalize: plain("capitalize", capitalize),
  center: padding("center", (missing, width) => Math.floor(missing / 2) + (missing & width & 1)),
  count: (text, input) => {
    const wanted = textArgument("count", bind("count", input, ["sub"], 1).sub);
    return wanted === "" ? lengthOf(text) + 1 : text.split(wanted).length - 1;
  },
  endswith: affix("endswith"),
  find: position("find", false, false),
  index: position("index", false, true),
  isalnum: everyCharacter("isalnum", /[\p{L}\p{N}]/u),
  isalpha: everyCharacter("isalpha", /\p{L}/u),
  isascii: plain("isascii", (text) => !/[^\0-\x7f]/.test(text)),
  isdecimal: everyCharacter("isdecimal", /\p{Nd}/u),
  isdigit: everyCharacter("isdigit", /[\p{Nd}²³¹⁰⁴-⁹₀-₉①-⑨⑴-⑼⒈-⒐]/u),
  islower: plain("islower", (text) => /\p{Lowercase}/u.test(text) && !/[\p{Lu}\p{Lt}]/u.test(text)),
  isnumeric: everyCharacter("isnumeric", /\p{N}/u),
  isspace: plain("isspace", isSpace),
  isupper: plain("isupper", (text) => /\p{Uppercase}/u.test(text) && !/[\p{Ll}\p{Lt}]/u.test(text)),
  join: (text, input) => {
    const items = iterate(bind("join", input, ["iterable"], 1).iterable);
    return items.map((item) => textArgument("join", item)).join(text);
  },
  ljust: padding("ljust", () => 0),
  lower: plain("lower", (text) => text.toLowerCase()),
  lstrip: stripping("lstrip", stripStart),
  partition: parting("partition", false),
  removeprefix: without("removeprefix"),
  removesuffix: without("removesuffix"),
  replace: (text, input) => replaceText(text, input),
  rfind: position("rfind", true, false),
  rindex: position("rindex", true, true),
  rjust: padding("rjust", (missing) => missing),
  rpartition: parting("rpartition", true),
  rsplit: splitting("rsplit"),
  rstrip: stripping("rstrip", stripEnd),
  split: splitting("split"),
  splitlines: (text, input) => lines(text, truthy(bind("splitlines", input, ["keepends"]).keepends)),
  startswith: affix("startswith"),
  strip: stripping("strip", strip),
  title: plain("title", title),
  upper: plain("upper", (text) => text.toUpperCase()),
  zfill: (text, input) => {
    const [, sign = "", digits = ""] = /^([+-]?)(.*)$/s.exec(text) ?? [];
    const width = intArgument("zfill", bind("zfill", input, ["width"], 1).width);
    return sign + "0".repeat(Math.max(0, width - lengthOf(text))) + digits;
  },
};
