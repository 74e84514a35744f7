/** What a check of the repository reads: its files by path from the root, and what is wrong with them. */

export interface Checkout {
  /** Tracked files. */
  readonly files: ReadonlySet<string>;
  /** Folders of these, at any depth. */
  readonly folders: ReadonlySet<string>;
  /** The text of a tracked file. */
  read(file: string): string;
}

/** What is wrong, and where. Lines are counted from 1. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

export function checkoutOf(files: Iterable<string>, read: (file: string) => string): Checkout {
  const all = new Set(files);
  const folders = new Set<string>();
  for (const file of all) {
    for (let end = file.lastIndexOf("/"); end > 0; end = file.lastIndexOf("/", end - 1)) folders.add(file.slice(0, end));
  }
  return { files: all, folders, read };
}

/** Whether a file or a folder with files in it has this path; a slash at the end is allowed. */
export function exists({ files, folders }: Checkout, path: string): boolean {
  return files.has(path) || folders.has(path.replace(/\/$/, ""));
}

/** Whether the file is this path, or lies below it. */
export function isWithin(file: string, path: string): boolean {
  const folder = path.replace(/\/$/, "");
  return file === folder || file.startsWith(`${folder}/`);
}

/** As editors and CI open it. */
export function describeProblem({ file, line, message }: Problem): string {
  return `${file}:${line}: ${message}`;
}
