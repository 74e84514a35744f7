/**
 * Each block of an answer follows the direction of its own text, and code and formulas are read from left to right wherever they stand:
 * what is inside of them does not count for the text around it.
 */
export function setDirections(fragment: DocumentFragment): void {
  for (const block of fragment.children) block.setAttribute("dir", block.matches(".code") ? "ltr" : "auto");
  for (const text of fragment.querySelectorAll("code, .math")) text.setAttribute("dir", "ltr");
}
