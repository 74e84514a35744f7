/** What axe finds wrong with a page as it is now. */
import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "playwright-core";

/** Each violation as a line that names the rule and the element. */
export async function violationsOf(page: Page): Promise<string[]> {
  // The page has no frames, so the mode that runs axe in place sees everything.
  const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
  return violations.flatMap((violation) => violation.nodes.map((node) => `${violation.id}: ${node.html}\n${node.failureSummary ?? ""}`));
}
