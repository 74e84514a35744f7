/** Asks at the terminal for what nobody may see. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

export async function askHidden(question: string): Promise<string> {
  process.stdout.write(question);
  // What is typed is echoed by readline itself, into here.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return await terminal.question("");
  } finally {
    terminal.close();
    process.stdout.write("\n");
  }
}
