/**
 * Makes the children of `target` equal to those of `source` and leaves alone what is equal already, so that a growing answer keeps
 * a reader's selection, focus and sideways scroll. Nodes of `source` may move into `target`.
 */
export function patchChildren(target: Node, source: Node): void {
  const wanted = [...source.childNodes];
  for (const [index, node] of wanted.entries()) {
    const present = target.childNodes[index];
    if (present === undefined) target.appendChild(node);
    else if (!present.isEqualNode(node)) patchNode(target, present, node);
  }
  while (target.childNodes.length > wanted.length) target.lastChild?.remove();
}

function patchNode(parent: Node, present: ChildNode, wanted: ChildNode): void {
  if (present instanceof Text && wanted instanceof Text) present.data = wanted.data;
  else if (present instanceof Element && wanted instanceof Element && isSameElement(present, wanted)) patchChildren(present, wanted);
  else parent.replaceChild(wanted, present);
}

function isSameElement(left: Element, right: Element): boolean {
  return left.cloneNode(false).isEqualNode(right.cloneNode(false));
}
