import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { createBlockSplitter } from "./blocks.ts";
import { frameCodeBlocks, highlightCodeBlocks } from "./code-block.ts";
import { setDirections } from "./direction.ts";
import { markdownToHtml } from "./html.ts";
import { renderFormulas } from "./math.ts";
import { patchChildren } from "./patch.ts";
import { sanitize } from "./sanitize.ts";

interface MarkdownProps {
  readonly text: string;
  /** False while the text still grows. */
  readonly complete: boolean;
  readonly copyLabel: string;
}

/** Renders a growing text block by block: each update touches only the blocks that changed. */
export function Markdown({ text, complete, copyLabel }: MarkdownProps) {
  const [splitter] = useState(createBlockSplitter);
  const blocks = splitter.split(text.replace(/\r\n?/g, "\n"), complete);
  return (
    <div class="markdown">
      {blocks.map((block, index) => (
        <MarkdownBlock key={index} source={block.source} settled={block.settled} copyLabel={copyLabel} />
      ))}
    </div>
  );
}

interface MarkdownBlockProps {
  readonly source: string;
  readonly settled: boolean;
  readonly copyLabel: string;
}

function MarkdownBlock({ source, settled, copyLabel }: MarkdownBlockProps) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (element.current === null) return;
    const fragment = sanitize(markdownToHtml(source));
    frameCodeBlocks(fragment, copyLabel);
    setDirections(fragment);
    patchChildren(element.current, fragment);
  }, [source, copyLabel]);
  useLayoutEffect(() => {
    if (!settled || element.current === null) return;
    highlightCodeBlocks(element.current);
    renderFormulas(element.current);
  }, [source, settled, copyLabel]);
  return <div class="block" ref={element} />;
}
