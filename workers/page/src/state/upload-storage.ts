import { allOf, openDatabase, put } from "./database.ts";

/** A text on its way to the server: kept in this browser until all of it has arrived, so that a reload does not lose it. */
export interface Upload {
  /** The context's id. */
  readonly id: string;
  readonly name: string;
  readonly text: Blob;
}

export async function keepUpload(upload: Upload): Promise<void> {
  await put(await openDatabase(), "uploads", upload.id, upload);
}

export async function dropUpload(id: string): Promise<void> {
  await put(await openDatabase(), "uploads", id, null);
}

export async function keptUploads(): Promise<Upload[]> {
  return allOf<Upload>(await openDatabase(), "uploads");
}
