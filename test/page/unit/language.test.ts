import { describe, expect, it } from "vitest";
import { chinese } from "../../../workers/page/src/language/chinese.ts";
import { english } from "../../../workers/page/src/language/english.ts";
import { preferredLanguage } from "../../../workers/page/src/language/choice.ts";
import { formatParameters } from "../../../workers/page/src/view/format.ts";
import { fileName } from "../../../workers/page/src/state/export.ts";

/** Every text of a dictionary with the path that leads to it. */
function textsOf(value: unknown, path = ""): [string, string][] {
  if (typeof value === "string") return [[path, value]];
  if (typeof value === "function") return [[path, (value as (argument: string) => string)("{}")]];
  return Object.entries(value as object).flatMap(([key, item]) => textsOf(item, `${path}.${key}`));
}

describe("language", () => {
  it.each([
    [["zh-CN", "en"], "zh"],
    [["zh-Hant-TW"], "zh"],
    [["fr", "zh", "en"], "zh"],
    [["en-GB", "zh"], "en"],
    [["fr"], "en"],
    [[], "en"],
  ])("of %j is %s", (accepted, language) => {
    expect(preferredLanguage(accepted)).toBe(language);
  });

  it("leaves no text out and nothing in English by oversight", () => {
    const translated = new Map(textsOf(chinese));
    const same = textsOf(english).filter(([path, text]) => translated.get(path) === text && /[a-z]{3}/i.test(text));
    expect([...translated.keys()]).toEqual(textsOf(english).map(([path]) => path));
    // Names, keys, and the prompts, which a model that speaks English gets in English.
    const meant = /\.(productName|systemPlaceholder|prompt|\d|top[PK]|statusCode)$|^\.settingNames\.minP$/;
    expect(same.filter(([path]) => !meant.test(path))).toEqual([]);
  });
});

describe("what is said of the model's size", () => {
  it.each([
    [134_515_008, "A small model of 135 million parameters, running", "仅有 1.35亿参数的小模型"],
    [7_615_616_512, "A small model of 7.62 billion parameters, running", "仅有 76.2亿参数的小模型"],
  ])("is of %i what the server's card says", (count, inEnglish, inChinese) => {
    expect(english.note(formatParameters(count, "en"))).toContain(inEnglish);
    expect(chinese.note(formatParameters(count, "zh"))).toContain(inChinese);
  });

  it("is nothing where the card says nothing", () => {
    expect(english.note(null)).toMatch(/^A small model, running/);
    expect(chinese.note(null)).toMatch(/^这是一个小模型，/);
  });
});

describe("file names", () => {
  it.each([
    ['a/b\\c:d*e?f"g<h>i|j', "a b c d e f g h i j.md"],
    ["../../etc/passwd", "etc passwd.md"],
    [" \n ", "conversation.md"],
    ["你好", "你好.md"],
  ])("of %j is %s", (title, name) => {
    expect(fileName(title, "md")).toBe(name);
  });
});
