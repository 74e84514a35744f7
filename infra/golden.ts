/** `npm run golden`: makes the golden vectors in test/golden again with the reference in gpu-backend; `-- --check` compares only. */
import { inRepository } from "./local/paths.ts";
import { reportFailure, run } from "./local/run.ts";
import { setupPython, venvPython } from "./local/python/setup-python.ts";

try {
  await setupPython("test");
  await setupPython("model");
  const { status } = await run(venvPython, [inRepository("test/golden/generate.py"), ...process.argv.slice(2)]);
  process.exitCode = status;
} catch (error) {
  reportFailure(error);
}
