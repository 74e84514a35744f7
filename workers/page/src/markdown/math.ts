import { isDisplay, texOf } from "./math-syntax.ts";
import { sanitizeMath } from "./sanitize.ts";

type Render = (tex: string, display: boolean) => string | null;

let render: Render | null = null;
let loading: Promise<void> | null = null;

/** Sets the finished formulas inside `root`; what sets them is fetched when the first is seen. Until then they are shown as written. */
export function renderFormulas(root: Element): void {
  const formulas = [...root.querySelectorAll("span.math")].filter(({ firstElementChild }) => firstElementChild === null);
  if (formulas.length === 0) return;
  if (render !== null) for (const formula of formulas) renderFormula(formula, render);
  // Without it the formulas stay as written, and the next block tries again.
  else void loadRenderer().then(() => root.isConnected && render !== null && renderFormulas(root));
}

async function loadRenderer(): Promise<void> {
  loading ??= import("./math-renderer.ts").then((module) => void (render = module.renderMath)).catch(() => void (loading = null));
  await loading;
}

function renderFormula(formula: Element, run: Render): void {
  const written = formula.textContent;
  const mathml = run(texOf(written), isDisplay(written));
  if (mathml === null) return;
  formula.replaceChildren(sanitizeMath(mathml));
  // A formula too wide for the page scrolls by itself, so it must be reachable by keyboard.
  if (isDisplay(written)) formula.setAttribute("tabindex", "0");
}
