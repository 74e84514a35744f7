// Loaded on its own, when the first formula is finished: an answer without maths never fetches it.
import temml from "temml";

/** Macros that an answer defines may unfold no further, and no rule or space may be larger, in em. */
const mostExpansions = 100;
const largestEm = 20;

interface MathNode {
  style?: object;
  readonly attributes?: Record<string, string>;
  readonly children?: readonly MathNode[];
  readonly toMarkup: () => string;
}

/** The page's policy allows no inline style, and reports each that is only parsed. */
function undress(node: MathNode): void {
  node.style = {};
  delete node.attributes?.["style"];
  for (const child of node.children ?? []) undress(child);
}

/** TeX as MathML, or null where it is not TeX: it then stays as it was written. Nothing that loads, links or dresses is trusted. */
export function renderMath(tex: string, display: boolean): string | null {
  try {
    const tree = temml.__renderToMathMLTree(tex, {
      displayMode: display,
      throwOnError: true,
      trust: false,
      maxExpand: mostExpansions,
      maxSize: [largestEm, largestEm],
    }) as MathNode;
    undress(tree);
    return tree.toMarkup();
  } catch {
    return null;
  }
}
