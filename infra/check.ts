/** `npm run check`. */
import { checks } from "./checks.ts";
import { describeResult, runChecks } from "./checks/run-checks.ts";
import { reportFailure } from "./local/run.ts";
import { ensureRust } from "./local/rust.ts";
import { setupPython } from "./local/python/setup-python.ts";

try {
  // mypy reads torch's types.
  await setupPython("test");
  await setupPython("model");
  await ensureRust();
  const failed: string[] = [];
  await runChecks(await checks(), (check, result) => {
    console.log(describeResult(check, result));
    if (!result.isPassed) failed.push(check.name);
  });
  if (failed.length > 0) throw new Error(`Failed: ${failed.join(", ")}`);
  console.log("All checks passed.");
} catch (error) {
  reportFailure(error);
}
