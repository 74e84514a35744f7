/** Writes one state file into the store as it comes. */
import { ServiceError } from "../../contracts/errors.ts";
import { snapshotInvalid } from "../../state-file/failures.ts";
import { ByteReader } from "../../state-file/byte-reader.ts";
import type { PutOrder, StoredSnapshot } from "./contract.ts";
import { checkHeader, checkOrder } from "./put-checks.ts";
import { SnapshotWriter, type WriterDependencies } from "./snapshot-writer.ts";
import { readHeader } from "../../state-file/header.ts";

/** @throws ServiceError that says what is not valid, or what the stream or the storage throws; then nothing has been written. */
export async function writeSnapshot(
  dependencies: WriterDependencies,
  order: PutOrder,
  bytes: ReadableStream<Uint8Array>,
): Promise<StoredSnapshot> {
  const reader = new ByteReader(bytes);
  let writer: SnapshotWriter | undefined;
  try {
    checkOrder(order);
    const header = await readHeader(reader);
    checkHeader(order, header);
    writer = new SnapshotWriter(dependencies, order, header);
    await writer.read(reader);
    if (!(await reader.ended())) throw new ServiceError(snapshotInvalid("state file: it has more bytes than its header says"));
    return await writer.finish();
  } catch (cause) {
    writer?.giveUp();
    await reader.cancel(cause);
    if (cause instanceof RangeError) throw new ServiceError(snapshotInvalid(`state file: ${cause.message}`), { cause });
    throw cause;
  }
}
