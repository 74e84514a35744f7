/**
 * Runs a replica's program as a child, so that it ends with whoever started this: `node replica-process.ts PROGRAM ARGUMENT…`. The first line of
 * output names the process that answers, which is the one to send signals to.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { endWithStarter } from "../process-group.ts";

const [program = "", ...args] = process.argv.slice(2);
endWithStarter();
const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit"] });
child.once("spawn", () => {
  console.log(`replica process ${String(child.pid)}`);
});
child.once("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
child.once("exit", (code, signal) => process.exit(code ?? 128 + (signal === null ? 1 : constants.signals[signal])));
// They are the child's to answer: this process goes when it has.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);
