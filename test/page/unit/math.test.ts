import { describe, expect, it } from "vitest";
import { createBlockSplitter } from "../../../workers/page/src/markdown/blocks.ts";
import { escapeHtml } from "../../../workers/page/src/markdown/escape.ts";
import { markdownToHtml } from "../../../workers/page/src/markdown/html.ts";
import { renderMath } from "../../../workers/page/src/markdown/math-renderer.ts";
import { isDisplay, texOf } from "../../../workers/page/src/markdown/math-syntax.ts";

/** The formulas in what Markdown becomes, as they were written. */
function formulas(markdown: string): string[] {
  const found = markdownToHtml(markdown).matchAll(/<span class="math(?: math-display)?">([^<]*)<\/span>/g);
  return [...found].map(([, text = ""]) => text);
}

describe("maths in Markdown", () => {
  it.each([
    "$a_1 + b_2 * c_3 * d_4$",
    "$x^{*}_i \\\\ y_j$",
    "$\\{a, b\\}$",
    "$$a_1 * b_1 * c_1$$",
    "\\(f_1(x) = *x*\\)",
    "\\[\\frac{a_b}{c_d} \\\\ \\_ \\*\\]",
    "$$\n\\begin{aligned}\na &= b \\\\\n- c &= d_1 \\\\\n# e\n\\end{aligned}\n$$",
    "\\[\n1. a\n- b_c\n\\]",
    "$`x`$",
    "$<b>$",
  ])("comes through unharmed: %j", (formula) => {
    expect(formulas(formula)).toEqual([escapeHtml(formula)]);
    const within = [`Before ${formula}, *after*.`, `- item ${formula}\n- b`, `**bold ${formula} bold**`];
    const around = [`Before:\n${formula}\nAfter *it*.`, `> ${formula.replaceAll("\n", "\n> ")}`];
    for (const markdown of formula.includes("\n") ? around : [...within, ...around])
      expect({ markdown, found: formulas(markdown) }).toEqual({ markdown, found: [escapeHtml(formula)] });
  });

  it("closes no emphasis that was opened before it, and takes none in", () => {
    expect(markdownToHtml("*see $a*b$ there*")).toBe('<p><em>see <span class="math">$a*b$</span> there</em></p>\n');
    expect(markdownToHtml("_x $a_b$ y_")).toBe('<p><em>x <span class="math">$a_b$</span> y</em></p>\n');
  });

  it.each([
    "It costs $5 or $10.",
    "US$5, US$10",
    "\\$5 and $5",
    "A $ alone",
    "`$a$` and `\\(b\\)`",
    "```\n$$a$$\n```",
    "$a\n\nb$",
    "$$\na\n\nb\n$$",
    "$$never closed",
  ])("is not where there is none: %j", (markdown) => {
    expect(formulas(markdown)).toEqual([]);
  });

  it("is one block, however it grows", () => {
    const splitter = createBlockSplitter();
    const text = "Before.\n\n$$\na\n- b\n+ c\n$$\n\nAfter one.\n\nAfter two.\n\nAfter three.";
    for (let length = 1; length < text.length; length += 1) splitter.split(text.slice(0, length), false);
    expect(splitter.split(text, true).map(({ source }) => source.trim())[1]).toBe("$$\na\n- b\n+ c\n$$");
  });

  it("costs no more than its length, whatever is left open", () => {
    const time = (text: string) => {
      const start = performance.now();
      markdownToHtml(text);
      return performance.now() - start;
    };
    for (const opening of ["$a ", "$$", "\\(", "\\[ ", "$a$1 "]) {
      time(opening.repeat(500));
      const [short, long] = [time(opening.repeat(4_000)), time(opening.repeat(32_000))];
      // Eight times the text; what is quadratic takes 64 times as long.
      expect({ opening, linear: long < 24 * Math.max(short, 10) }).toEqual({ opening, linear: true });
    }
  });

  it("is told by its delimiters", () => {
    expect(["$a$", "$$a$$", "\\(a\\)", "\\[a\\]"].map((formula) => [texOf(formula), isDisplay(formula)])).toEqual([
      ["a", false],
      ["a", true],
      ["a", false],
      ["a", true],
    ]);
  });
});

describe("TeX", () => {
  it("becomes MathML, and stays as it is where it is none", () => {
    expect(renderMath("\\frac{1}{2}", false)).toContain("<mfrac><mn>1</mn><mn>2</mn></mfrac>");
    expect(renderMath("x", true)).toContain('display="block"');
    for (const wrong of ["\\frac{1}", "\\unheardof", "\\href{https://example.com}{x}", "\\includegraphics{x}", "\\def\\a{\\a\\a}\\a"])
      expect({ wrong, html: renderMath(wrong, false) }).toEqual({ wrong, html: null });
  });
});
