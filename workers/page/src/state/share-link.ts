/** Links to shares. The id is in the fragment, which browsers send to nobody: no server's log and no other page's `Referer` has it. */
const PREFIX = "#share=";

export function shareLink(id: string): string {
  return `${location.origin}/${PREFIX}${id}`;
}

/** The share that the page was opened with. */
export function shareInAddress(): string | null {
  const id = location.hash.startsWith(PREFIX) ? location.hash.slice(PREFIX.length) : "";
  return /^[\w-]+$/.test(id) ? id : null;
}

export function leaveShareAddress(): void {
  if (location.hash.startsWith(PREFIX)) history.replaceState(null, "", location.pathname);
}
