import { patchChildren } from "./patch.ts";
import { sanitize } from "./sanitize.ts";

type Highlight = (code: string, language: string) => string | null;

let highlight: Highlight | null = null;
let loading: Promise<void> | null = null;

/** Longer code stays plain: colouring it would hold the page up for longer than it helps. */
const maximumHighlightedCharacters = 50_000;

/** Puts each code block into a frame that names its language and offers a copy button. The buttons are handled by whoever shows the answer. */
export function frameCodeBlocks(fragment: DocumentFragment, copyLabel: string): void {
  for (const pre of fragment.querySelectorAll("pre")) {
    const frame = element("div", "code");
    const head = element("div", "code-head");
    const name = element("span", "code-language");
    name.textContent = pre.querySelector("code")?.getAttribute("data-language") || "text";
    const button = element("button", "code-copy");
    button.setAttribute("type", "button");
    button.setAttribute("data-copy-code", "");
    button.textContent = copyLabel;
    head.append(name, button);
    // Code too wide for the page scrolls by itself, so it must be reachable by keyboard.
    pre.tabIndex = 0;
    pre.replaceWith(frame);
    frame.append(head, pre);
  }
}

/** Colours the finished code blocks inside `root`; the highlighter is fetched when the first is seen. */
export function highlightCodeBlocks(root: Element): void {
  const blocks = [...root.querySelectorAll("pre > code")].filter((code) => code.getAttribute("data-language") !== "");
  if (blocks.length === 0) return;
  if (highlight !== null) for (const code of blocks) highlightBlock(code, highlight);
  // Without the highlighter the code is plain and the answer is whole; the next block tries again.
  else void loadHighlighter().then(() => root.isConnected && highlight !== null && highlightCodeBlocks(root));
}

async function loadHighlighter(): Promise<void> {
  loading ??= import("./highlighter.ts").then((module) => void (highlight = module.highlight)).catch(() => void (loading = null));
  await loading;
}

function highlightBlock(code: Element, run: Highlight): void {
  const text = code.textContent;
  if (text.length > maximumHighlightedCharacters) return;
  const html = run(text, code.getAttribute("data-language") ?? "");
  if (html !== null) patchChildren(code, sanitize(html));
}

function element(name: string, className: string): HTMLElement {
  const created = document.createElement(name);
  created.className = className;
  return created;
}
