// Runs in Chromium: the page's own renderer, driven faster than a stream could.
import { render } from "preact";
import { Markdown } from "../../../workers/page/src/markdown/markdown.tsx";
import { sanitize, sanitizeMath } from "../../../workers/page/src/markdown/sanitize.ts";
import { pause } from "../../../workers/waiting/within.ts";

export interface MarkdownHarness {
  /** Renders every beginning of the text, then the whole, and returns what is in the document that must not be. */
  renderGrowing(text: string): Promise<string[]>;
  /** The same for the sanitizers alone, the answer's and the formulas', which has to hold even if the renderer let HTML through. */
  sanitizeGrowing(html: string): string[];
}

const allowedElements = new Set(
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
const allowedAttributes = new Set([
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

const mathElements = new Set(
  ["math", "mrow", "mi", "mn", "mo", "mtext", "ms", "mspace", "mstyle", "mpadded", "mphantom", "merror", "mfrac", "msqrt"].concat(
    ["mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "mtable", "mtr", "mtd"],
    ["menclose"],
  ),
);
const mathml = "http://www.w3.org/1998/Math/MathML";
const forbiddenInMath = /^(?:href|src|style|id|class|on.*|xlink:.*|data-.*|encoding|definitionurl|actiontype)$/i;

/** Formulas are MathML of no more than its own elements, where there may be any. */
function violations(root: Element, mayHaveMath: boolean): string[] {
  const found: string[] = [];
  for (const element of root.querySelectorAll("*")) {
    if (mayHaveMath && element.namespaceURI === mathml && mathElements.has(element.localName)) {
      for (const { name, value } of element.attributes)
        if (forbiddenInMath.test(name)) found.push(`${element.localName}[${name}=${value}]`);
      continue;
    }
    if (!allowedElements.has(element.localName)) found.push(`<${element.localName}>`);
    for (const { name, value } of element.attributes) {
      if (!allowedAttributes.has(name)) found.push(`${element.localName}[${name}=${value}]`);
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

function growing(text: string, show: (beginning: string, complete: boolean) => void, mayHaveMath: boolean): string[] {
  const found = new Set<string>();
  for (let length = 1; length <= text.length + 1; length += 1) {
    show(text.slice(0, length), length > text.length);
    for (const violation of violations(root, mayHaveMath)) found.add(violation);
  }
  return [...found];
}

const harness: MarkdownHarness = {
  async renderGrowing(text) {
    render(null, root);
    const show = (beginning: string, complete: boolean) => render(<Markdown text={beginning} complete={complete} copyLabel="Copy" />, root);
    const found = growing(text, show, true);
    // Formulas are set once what sets them is there.
    await pause(0);
    return [...new Set([...found, ...violations(root, true)])];
  },
  sanitizeGrowing(html) {
    render(null, root);
    return [
      ...growing(html, (beginning) => root.replaceChildren(sanitize(beginning)), false),
      ...growing(html, (beginning) => root.replaceChildren(sanitizeMath(beginning)), true),
    ];
  },
};

Object.assign(window, { harness });
