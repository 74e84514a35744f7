/** `npm run check`. */
import { checks } from "./checks.ts";
import { reportFailure } from "./local/run.ts";
import { ensureRust } from "./local/rust.ts";
import { setupPython } from "./local/python/setup-python.ts";

try {
  // mypy reads torch's types.
  await setupPython("test");
  await setupPython("model");
  await ensureRust();
  const failed: string[] = [];
  for (const check of await checks()) {
    console.log(`- ${check.name}`);
    if (!(await check.run())) failed.push(check.name);
  }
  if (failed.length > 0) throw new Error(`Failed: ${failed.join(", ")}`);
  console.log("All checks passed.");
} catch (error) {
  reportFailure(error);
}
