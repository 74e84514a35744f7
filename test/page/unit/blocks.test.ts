import { describe, expect, it } from "vitest";
import { createBlockSplitter } from "../../../workers/page/src/markdown/blocks.ts";

const document = `# Title

A paragraph of *text*
over two lines.

Heading below
===

- a list
- with items

  and a paragraph inside

1. one

2. two

\`\`\`python
def f():

    return "# not a heading"
\`\`\`

| a | b |
|---|---|
| 1 | 2 |

> a quote
continued lazily

<div>

html

</div>

    indented code

The end.`;

function sources(text: string): string[] {
  return createBlockSplitter()
    .split(text, true)
    .map((block) => block.source.trim());
}

describe("block splitter", () => {
  it("gives the same blocks for a text that grew by single characters as for the whole", () => {
    const splitter = createBlockSplitter();
    let blocks = splitter.split("", false);
    for (let length = 1; length <= document.length; length += 1) blocks = splitter.split(document.slice(0, length), false);
    expect(blocks.map((block) => block.source.trim())).toEqual(sources(document));
    expect(blocks.length).toBeGreaterThan(8);
  });

  it("never changes a block that it has called settled", () => {
    const splitter = createBlockSplitter();
    let settled: string[] = [];
    for (let length = 1; length <= document.length; length += 1) {
      const now = splitter
        .split(document.slice(0, length), false)
        .filter((block) => block.settled)
        .map((block) => block.source);
      expect(now.slice(0, settled.length)).toEqual(settled);
      settled = now;
    }
    expect(settled.length).toBeGreaterThan(6);
  });

  it("loses no text", () => {
    const splitter = createBlockSplitter();
    for (let length = 0; length <= document.length; length += 1) {
      const text = document.slice(0, length);
      const blocks = splitter.split(text, false);
      expect(blocks.map((block) => block.source.replace(/\s/g, "")).join("")).toBe(text.replace(/\s/g, ""));
    }
  });

  it("starts over when the text is another one", () => {
    const splitter = createBlockSplitter();
    splitter.split("a\n\nb\n\nc\n\nd", false);
    expect(splitter.split("x\n\ny", false).map((block) => block.source.trim())).toEqual(["x", "y"]);
  });

  it("settles everything in a complete text and gives blocks the link definitions they use", () => {
    const blocks = createBlockSplitter().split("[a][1]\n\n[b][1]\n\n[1]: https://example.com\n", true);
    expect(blocks).toHaveLength(2);
    for (const block of blocks) {
      expect(block.settled).toBe(true);
      expect(block.source).toContain("[1]: https://example.com");
    }
  });
});
