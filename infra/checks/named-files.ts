/** Source files that Markdown and comments name are there: a file that moves takes its name along in prose. */
import type { Checkout, Problem } from "./checkout.ts";
import { commentsOf } from "./comments.ts";
import { placedTokens, plainText } from "./markdown.ts";
import { isPath, isSomewhere } from "./paths.ts";

/** What tells of the past names files as they were. ARCHITECTURE.md has a check of its own. */
const exemptName = /^(CHANGELOG\.md|ARCHITECTURE\.md|test\/bench\/records\/.*)$/;
const sourceName = /\.(tsx?|mjs|py|rs|md)$/;
const inComment = /`((?:[\w.@*/-]|\{[\w.,/-]+\})+)`/g;

export function checkNamedFiles(checkout: Checkout): Problem[] {
  const known = new Map<string, boolean>();
  const isThere = (path: string): boolean => {
    const there = known.get(path) ?? isSomewhere(checkout, path);
    known.set(path, there);
    return there;
  };
  return [...checkout.files]
    .filter((file) => !exemptName.test(file))
    .flatMap((file) =>
      (file.endsWith(".md") ? inMarkdown(checkout.read(file)) : inComments(file, checkout))
        .filter(({ path }) => isPath(path) && sourceName.test(path) && !isThere(path))
        .map(({ path, line }) => ({ file, line, message: `names ${path}, which is no tracked file, nor the end of one's path` })),
    );
}

function inMarkdown(text: string): { path: string; line: number }[] {
  return placedTokens(text).flatMap(({ token, line }) => (token.type === "codespan" ? [{ path: plainText(token), line }] : []));
}

function inComments(file: string, checkout: Checkout): { path: string; line: number }[] {
  return commentsOf(file, checkout, inComment).flatMap(({ text, line }) =>
    [...text.matchAll(inComment)].map(([, path = ""]) => ({ path, line })),
  );
}
