/** Sessions whose conversation was deleted here, until the server has been told: a page may be closed while an undo is still possible. */
const deletionsKey = "spikingbrain.deletions";

export function pendingDeletions(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(deletionsKey) ?? "[]");
    return Array.isArray(stored) ? stored.filter((id) => typeof id === "string") : [];
  } catch {
    // Something else wrote there, or storage is forbidden: the list then shows what was deleted, and it can be deleted again.
    return [];
  }
}

export function addPendingDeletion(session: string): void {
  write([...pendingDeletions(), session]);
}

export function removePendingDeletion(session: string): void {
  write(pendingDeletions().filter((id) => id !== session));
}

function write(ids: readonly string[]): void {
  try {
    localStorage.setItem(deletionsKey, JSON.stringify(ids));
  } catch {
    // See above.
  }
}
