import { describe, expect, it } from "vitest";
import { checkLinks } from "../../../infra/checks/links.ts";
import { checkoutWith, described } from "./checkout.ts";

const guide = "# Guide\n\n## 1.2 What `run()` does, and _why_\n\n## Twice\n\n## Twice\n";

function problemsOf(files: Readonly<Record<string, string>>): string[] {
  return described(checkLinks(checkoutWith({ "docs/guide.md": guide, "src/code.ts": "", ...files })));
}

describe("links in Markdown", () => {
  it("may lead to files, folders, headings here and there, and elsewhere", () => {
    const text = [
      "[a](docs/guide.md) [b](docs/guide.md#12-what-run-does-and-why) [c](docs/guide.md#twice-1) [d](src) [e](src/) [f](src/code.ts)",
      "[g](https://example.com/none.md#none) [h](mailto:nobody@example.com) [i](#here) [j][ref] ![k](docs/guide.md)",
      "",
      "# Here",
      "",
      "[ref]: docs/guide.md#guide",
    ].join("\n");
    expect(problemsOf({ "README.md": text, "docs/other.md": "[up](../README.md#here) [beside](guide.md)" })).toEqual([]);
  });

  it.each([
    ["a file that is not there", "one\n\n[x](docs/none.md)", 3, "links to docs/none.md, which is no tracked file"],
    ["a file outside", "[x](../README.md)", 1, "links to ../README.md, which is no tracked file"],
    ["another case", "[x](docs/Guide.md)", 1, "links to docs/Guide.md, which is no tracked file"],
    [
      "a heading that is not there",
      "[x](docs/guide.md#none)",
      1,
      "links to docs/guide.md#none, but docs/guide.md has no heading with that anchor",
    ],
    [
      "a repeated heading once too often",
      "[x](docs/guide.md#twice-2)",
      1,
      "links to docs/guide.md#twice-2, but docs/guide.md has no heading with that anchor",
    ],
    ["a heading of its own that is not there", "# A\n[x](#b)", 2, "links to #b, but README.md has no heading with that anchor"],
    ["a line of code", "[x](src/code.ts#L3)", 1, "links to src/code.ts#L3, but only Markdown has anchors"],
    ["an absolute path", "[x](/docs/guide.md)", 1, "links to /docs/guide.md, which must be a path from this file's folder"],
    ["a picture that is not there", "![x](curve.svg)", 1, "links to curve.svg, which is no tracked file"],
  ])("may not lead to %s", (_name, text, line, message) => {
    expect(problemsOf({ "README.md": text })).toEqual([`README.md:${line}: ${message}`]);
  });

  it("are found in tables, lists, quotes, headings and references, each at its line", () => {
    const text = [
      "## About [one](1.md)",
      "",
      "| a | b |",
      "| - | - |",
      "| x | [two](2.md) |",
      "| [three](3.md) | y |",
      "",
      "- an item",
      "  - of a list whose text goes on",
      "    to [four](4.md)",
      "",
      "> quoted",
      "> [five](5.md)",
      "",
      "[six][ref] and `[no link](7.md)`",
      "",
      "```",
      "[nor this](8.md)",
      "```",
      "",
      "[ref]: 6.md",
    ].join("\n");
    const lines = problemsOf({ "README.md": text }).map((problem) => /:(\d+): links to (\d)/.exec(problem)?.slice(1).join(" "));
    expect(lines).toEqual(["1 1", "5 2", "6 3", "10 4", "13 5", "15 6"]);
  });
});

describe("citations in comments", () => {
  it.each([
    ["code.ts", '// See docs/guide.md.\nconst url = "https://example.com/docs/none.md";\nconst name = "none.md"; // docs/guide.md#twice\n'],
    ["code.rs", "//! As `docs/guide.md#guide` says.\n"],
    ["code.py", '"""What `docs/guide.md` says,\nin docs/guide.md#twice-1."""\nNAME = "none.md"\n'],
    ["code.toml", "# docs/guide.md\n"],
    ["code.css", "/* docs/guide.md\n * docs/guide.md#guide */\n"],
    ["data.json", '{"comment": "// none.md"}'],
  ])("may name a Markdown file from the root, and a heading: %s", (file, text) => {
    expect(problemsOf({ [`src/${file}`]: text })).toEqual([]);
  });

  it.each([
    ["code.ts", "\n// As guide.md says.\n", 2, "guide.md"],
    ["code.ts", "/**\n * See `docs/none.md`.\n */\n", 2, "docs/none.md"],
    ["code.tsx", "const one = 1; // docs/none.md\n", 1, "docs/none.md"],
    ["code.rs", "/// `none.md` 1.1.\n", 1, "none.md"],
    ["code.py", '"""Short."""\n\n\ndef f():\n    """Long,\n    of none.md."""\n', 6, "none.md"],
    ["code.py", "x = 1  # none.md\n", 1, "none.md"],
    ["code.sh", "# none.md\n", 1, "none.md"],
  ])("may not name one that is not there, nor by its bare name: %s %j", (file, text, line, cited) => {
    expect(problemsOf({ [`src/${file}`]: text })).toEqual([
      `src/${file}:${line}: cites ${cited} (a path from the repository's root), which is no tracked file`,
    ]);
  });

  it("may not name a heading that is not there", () => {
    expect(problemsOf({ "src/code.py": '"""docs/guide.md#none"""' })).toEqual([
      "src/code.py:1: cites docs/guide.md#none (a path from the repository's root), but docs/guide.md has no heading with that anchor",
    ]);
  });
});
