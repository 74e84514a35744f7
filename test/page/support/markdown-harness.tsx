// Runs in Chromium: the page's own renderer, driven faster than a stream could.
import { render } from "preact";
import { Markdown } from "../../../workers/page/src/markdown/markdown.tsx";
import { sanitize } from "../../../workers/page/src/markdown/sanitize.ts";

export interface MarkdownHarness {
  /** Renders every beginning of the text, then the whole, and returns what is in the document that must not be. */
  renderGrowing(text: string): string[];
  /** The same for the sanitizer alone, which has to hold even if the renderer let HTML through. */
  sanitizeGrowing(html: string): string[];
}

const ALLOWED_ELEMENTS = new Set(
  [
    "a",
    "b",
    "blockquote",
    "br",
    "button",
    "code",
    "del",
    "div",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "kbd",
    "li",
    "mark",
    "ol",
  ].concat(["p", "pre", "s", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul"]),
);
const ALLOWED_ATTRIBUTES = new Set([
  "align",
  "class",
  "data-copy-code",
  "data-language",
  "dir",
  "href",
  "rel",
  "start",
  "tabindex",
  "target",
  "title",
  "type",
]);

function violations(root: Element): string[] {
  const found: string[] = [];
  for (const element of root.querySelectorAll("*")) {
    if (!ALLOWED_ELEMENTS.has(element.localName)) found.push(`<${element.localName}>`);
    for (const { name, value } of element.attributes) {
      if (!ALLOWED_ATTRIBUTES.has(name)) found.push(`${element.localName}[${name}=${value}]`);
      if (name === "class" && /dialog|toast/.test(value)) found.push(`${element.localName}[class=${value}]`);
    }
    if (!(element instanceof HTMLAnchorElement) || !element.hasAttribute("href")) continue;
    if (!["http:", "https:", "mailto:"].includes(element.protocol)) found.push(`link to ${element.href}`);
    if (element.target !== "_blank" || !element.relList.contains("noopener")) found.push(`link without protection to ${element.href}`);
  }
  return found;
}

const root = document.createElement("main");
document.body.append(root);

function growing(text: string, show: (beginning: string, complete: boolean) => void): string[] {
  const found = new Set<string>();
  for (let length = 1; length <= text.length + 1; length += 1) {
    show(text.slice(0, length), length > text.length);
    for (const violation of violations(root)) found.add(violation);
  }
  return [...found];
}

const harness: MarkdownHarness = {
  renderGrowing(text) {
    render(null, root);
    return growing(text, (beginning, complete) => render(<Markdown text={beginning} complete={complete} copyLabel="Copy" />, root));
  },
  sanitizeGrowing(html) {
    render(null, root);
    return growing(html, (beginning) => root.replaceChildren(sanitize(beginning)));
  },
};

Object.assign(window, { harness });
