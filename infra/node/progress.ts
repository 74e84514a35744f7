/** Progress of long work, on standard error and only where a person looks on. */
export function progress(what: string): (done: number, total: number) => void {
  let shown = -1;
  return (done, total) => {
    const percent = Math.floor((100 * done) / Math.max(1, total));
    if (!process.stderr.isTTY || percent === shown) return;
    shown = percent;
    process.stderr.write(`\r${what} ${String(percent)} %${percent === 100 ? "\n" : ""}`);
  };
}
