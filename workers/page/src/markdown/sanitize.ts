import createPurifier from "dompurify";

/**
 * Everything an answer may be made of. No image, no form, no frame, no style, no `id` that could shadow a name: what is not listed is dropped.
 * Images are absent on purpose: loading one from an address that the model wrote would tell a stranger what is in the conversation.
 */
const ALLOWED_TAGS = [
  ...["a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "kbd", "li", "mark", "ol"],
  ...["p", "pre", "s", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul"],
];
const ALLOWED_ATTRIBUTES = ["align", "class", "data-language", "href", "start", "title"];
const ALLOWED_LINK = /^(?:https?:\/\/|mailto:)/i;
/** Only the highlighter's classes and ours: a class of the page's own could dress an answer up as part of the page. */
const ALLOWED_CLASS = /^(?:hljs-[\w-]+|language_|function_|class_|inherited__|constant_|built_in|task)$/;

const purifier = createPurifier(window);

purifier.addHook("afterSanitizeAttributes", (node) => {
  if (node.hasAttribute("class")) {
    const kept = [...node.classList].filter((name) => ALLOWED_CLASS.test(name));
    if (kept.length === 0) node.removeAttribute("class");
    else node.setAttribute("class", kept.join(" "));
  }
  if (node.tagName !== "A") return;
  const href = node.getAttribute("href");
  if (href === null || !ALLOWED_LINK.test(href)) {
    node.removeAttribute("href");
    return;
  }
  node.setAttribute("rel", "noopener noreferrer nofollow");
  node.setAttribute("target", "_blank");
});

/** HTML in, nodes out: they are put into the page as nodes, so nothing is written to text and parsed a second time. */
export function sanitize(html: string): DocumentFragment {
  return purifier.sanitize(html, {
    ALLOWED_TAGS,
    ALLOWED_ATTR: ALLOWED_ATTRIBUTES,
    ALLOWED_URI_REGEXP: ALLOWED_LINK,
    // Attributes that are no addresses and need not look like one.
    ADD_URI_SAFE_ATTR: ["align", "data-language", "start"],
    ALLOW_ARIA_ATTR: false,
    ALLOW_DATA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
}
