/** Links to shares. The id is in the fragment, which browsers send to nobody: no server's log and no other page's `Referer` has it. */
const sharePrefix = "#share=";

export function shareLink(id: string): string {
  return `${location.origin}/${sharePrefix}${id}`;
}

/** The share that the page was opened with. */
export function shareInAddress(): string | null {
  const id = location.hash.startsWith(sharePrefix) ? location.hash.slice(sharePrefix.length) : "";
  return /^[\w-]+$/.test(id) ? id : null;
}

export function leaveShareAddress(): void {
  if (location.hash.startsWith(sharePrefix)) history.replaceState(null, "", location.pathname);
}
