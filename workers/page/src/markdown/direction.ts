/**
 * Each block of an answer follows the direction of its own text, and code is read from left to right wherever it stands: what is inside
 * code does not count for the text around it.
 */
export function setDirections(fragment: DocumentFragment): void {
  for (const block of fragment.children) block.setAttribute("dir", block.matches(".code") ? "ltr" : "auto");
  for (const code of fragment.querySelectorAll("code")) code.setAttribute("dir", "ltr");
}
