/** Long enough for a browser to have begun to read the file. */
const keepFileMs = 10_000;

export function downloadText(name: string, type: string, content: string): void {
  download(name, new Blob([content], { type: `${type};charset=utf-8` }));
}

export function download(name: string, file: Blob): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), keepFileMs);
}
