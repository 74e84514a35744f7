import createPurifier from "dompurify";

/**
 * Everything an answer may be made of. No image, no form, no frame, no style, no `id` that could shadow a name: what is not listed is dropped.
 * Images are absent on purpose: loading one from an address that the model wrote would tell a stranger what is in the conversation.
 */
const allowedTags = [
  ...["a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "kbd", "li", "mark", "ol"],
  ...["p", "pre", "s", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul"],
];
const allowedAttributes = ["align", "class", "data-language", "href", "start", "title"];
const allowedLink = /^(?:https?:\/\/|mailto:)/i;
/** Only the highlighter's classes and ours: a class of the page's own could dress an answer up as part of the page. */
const allowedClass = /^(?:hljs-[\w-]+|language_|function_|class_|inherited__|constant_|built_in|task|math|math-display)$/;

/** What formulas are made of. Nothing in them loads, links, is dressed, or holds HTML. */
const mathTags = [
  ...["math", "mrow", "mi", "mn", "mo", "mtext", "ms", "mspace", "mstyle", "mpadded", "mphantom", "merror", "mfrac", "msqrt", "mroot"],
  ...["msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts", "mprescripts", "mtable", "mtr", "mtd", "menclose"],
];
const mathAttributes = [
  ...["accent", "accentunder", "columnalign", "columnspan", "depth", "display", "displaystyle", "fence", "form", "height", "largeop"],
  ...["linethickness", "lspace", "mathvariant", "maxsize", "minsize", "movablelimits", "notation", "rowspan", "rspace", "scriptlevel"],
  ...["separator", "stretchy", "symmetric", "voffset", "width"],
];

const purifier = createPurifier(window);

purifier.addHook("afterSanitizeAttributes", (node) => {
  if (node.hasAttribute("class")) {
    const kept = [...node.classList].filter((name) => allowedClass.test(name));
    if (kept.length === 0) node.removeAttribute("class");
    else node.setAttribute("class", kept.join(" "));
  }
  if (node.tagName !== "A") return;
  const href = node.getAttribute("href");
  if (href === null || !allowedLink.test(href)) {
    node.removeAttribute("href");
    return;
  }
  node.setAttribute("rel", "noopener noreferrer nofollow");
  node.setAttribute("target", "_blank");
});

/** HTML in, nodes out: they are put into the page as nodes, so nothing is written to text and parsed a second time. */
export function sanitize(html: string): DocumentFragment {
  return purifier.sanitize(html, {
    ALLOWED_TAGS: allowedTags,
    ALLOWED_ATTR: allowedAttributes,
    ALLOWED_URI_REGEXP: allowedLink,
    // Attributes that are no addresses and need not look like one.
    ADD_URI_SAFE_ATTR: ["align", "data-language", "start"],
    ALLOW_ARIA_ATTR: false,
    ALLOW_DATA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
}

/** The same for a formula's MathML, which only `math.ts` makes: in an answer's own text there is none. */
export function sanitizeMath(mathml: string): DocumentFragment {
  return purifier.sanitize(mathml, {
    ALLOWED_TAGS: mathTags,
    ALLOWED_ATTR: mathAttributes,
    ALLOWED_URI_REGEXP: allowedLink,
    ADD_URI_SAFE_ATTR: mathAttributes,
    ALLOW_ARIA_ATTR: false,
    ALLOW_DATA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
}
