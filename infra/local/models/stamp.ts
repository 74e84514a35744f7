/** What a set-up step has read and written, so that it is skipped as long as both are as they were. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestFile } from "./digest.ts";

export interface Stamp {
  /** Of the step: raised when the form of what it writes changes. */
  readonly formatVersion: number;
  /** sha256 by path relative to the output directory. */
  readonly outputs: Readonly<Record<string, string>>;
}

/** In an output directory, under the step's own name. */
export class StampFile<T extends Stamp> {
  readonly #output: string;
  readonly #path: string;

  constructor(output: string, name: string) {
    this.#output = output;
    this.#path = join(output, `${name}-stamp.json`);
  }

  /** Undefined without one, and where one is cut off: the files are written anew then. */
  read(): T | undefined {
    try {
      return JSON.parse(readFileSync(this.#path, "utf8")) as T;
    } catch {
      return undefined;
    }
  }

  /** Before anything is written: what is half done has none. */
  remove(): void {
    rmSync(this.#path, { force: true });
  }

  /** Once all these files, relative to the output directory, are written. */
  async write(stamp: Omit<T, "outputs">, files: Iterable<string>): Promise<void> {
    const outputs: Record<string, string> = {};
    for (const file of files) outputs[file] = await digestFile(join(this.#output, file));
    writeFileSync(this.#path, JSON.stringify({ ...stamp, outputs }, null, 2));
  }

  /** Whether all that was written is still as it was. */
  async holds({ outputs }: T): Promise<boolean> {
    for (const [file, sha256] of Object.entries(outputs)) {
      const path = join(this.#output, file);
      if (!existsSync(path) || (await digestFile(path)) !== sha256) return false;
    }
    return true;
  }
}
