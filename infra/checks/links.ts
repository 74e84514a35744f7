/** Every relative link in a Markdown file, and every Markdown file that a comment cites, leads to something, anchors included. */
import { posix } from "node:path";
import { type Checkout, exists, type Problem } from "./checkout.ts";
import { commentsOf } from "./comments.ts";
import { anchorsOf, placedTokens } from "./markdown.ts";

const elsewhere = /^([a-z][a-z\d+.-]*:|\/\/)/i;
const citation = /(?<![\w/.*-])(?<path>(?:[\w.-]+\/)*[\w-]+\.md)(?:#(?<anchor>[\w-]*))?/g;

export function checkLinks(checkout: Checkout): Problem[] {
  const anchors = anchorReader(checkout);
  return [...checkout.files].flatMap((file) => (file.endsWith(".md") ? linksOf(file) : citationsOf(file)));

  function linksOf(file: string): Problem[] {
    const problems: Problem[] = [];
    for (const { token, line } of placedTokens(checkout.read(file))) {
      if ((token.type !== "link" && token.type !== "image") || typeof token.href !== "string" || elsewhere.test(token.href)) continue;
      const [path = "", anchor] = decodeURIComponent(token.href).split("#", 2);
      const target = path === "" ? file : posix.join(posix.dirname(file), path);
      const wrong = path.startsWith("/") ? "which must be a path from this file's folder" : missing(target, anchor);
      if (wrong !== null) problems.push({ file, line, message: `links to ${token.href}, ${wrong}` });
    }
    return problems;
  }

  function citationsOf(file: string): Problem[] {
    return commentsOf(file, checkout, citation).flatMap(({ text, line }) =>
      [...text.matchAll(citation)].flatMap((found) => {
        const wrong = missing(found.groups?.path ?? "", found.groups?.anchor);
        return wrong === null ? [] : [{ file, line, message: `cites ${found[0]} (a path from the repository's root), ${wrong}` }];
      }),
    );
  }

  /** What is missing of a path from the root and an anchor; null when nothing is. */
  function missing(path: string, anchor: string | undefined): string | null {
    if (!exists(checkout, path)) return "which is no tracked file";
    if (anchor === undefined) return null;
    if (!path.endsWith(".md")) return "but only Markdown has anchors";
    return anchors(path).has(anchor) ? null : `but ${path} has no heading with that anchor`;
  }
}

function anchorReader(checkout: Checkout): (file: string) => ReadonlySet<string> {
  const known = new Map<string, ReadonlySet<string>>();
  return (file) => {
    const anchors = known.get(file) ?? anchorsOf(checkout.read(file));
    known.set(file, anchors);
    return anchors;
  };
}
