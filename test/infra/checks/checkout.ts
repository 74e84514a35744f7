import { type Checkout, checkoutOf, describeProblem, type Problem } from "../../../infra/checks/checkout.ts";

/** A checkout of these files and nothing else. */
export function checkoutWith(files: Readonly<Record<string, string>>): Checkout {
  return checkoutOf(Object.keys(files), (file) => {
    const text = files[file];
    if (text === undefined) throw new Error(`${file} is no file of this checkout`);
    return text;
  });
}

/** As `npm run check` prints them. */
export function described(problems: readonly Problem[]): string[] {
  return problems.map(describeProblem);
}
