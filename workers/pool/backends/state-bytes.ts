/** A state file on its way, hashed as it goes by: a changed number is as good a number as the right one, so that only a digest tells. */
import { toHex } from "../../encoding/hex.ts";

/** SHA-256 of bytes that come in chunks. */
export class RunningDigest {
  readonly #stream = new crypto.DigestStream("SHA-256");
  readonly #writer = this.#stream.getWriter();

  async update(chunk: Uint8Array): Promise<void> {
    await this.#writer.write(chunk);
  }

  /** Nothing may follow. */
  async value(): Promise<Uint8Array> {
    await this.#writer.close();
    return new Uint8Array(await this.#stream.digest);
  }
}

export interface SealedState {
  /** The file, and its digest's 32 bytes behind it. */
  readonly bytes: ReadableStream<Uint8Array>;
  /** Whether the file has broken off. */
  broke(): boolean;
  /** Lets the file go, wherever it is. */
  leave(): void;
}

/** A state file as a replica takes one whose digest is not known before. */
export function sealed(file: ReadableStream<Uint8Array>): SealedState {
  const reader = file.getReader();
  // What breaks a read breaks this too; the read tells of it.
  reader.closed.catch(() => undefined);
  const digest = new RunningDigest();
  let [hasBroken, isLeft] = [false, false];
  const leave = () => {
    isLeft = true;
    void reader.cancel().catch(() => undefined);
  };
  const bytes = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const part = await reader.read().catch(() => undefined);
        if (part === undefined || isLeft) {
          hasBroken = !isLeft;
          // Without its digest: the replica refuses what is not whole.
          controller.close();
        } else if (part.done) {
          controller.enqueue(await digest.value());
          controller.close();
        } else {
          await digest.update(part.value);
          controller.enqueue(part.value);
        }
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  );
  return { bytes, broke: () => hasBroken, leave };
}

/** SHA-256 of a text's token ids, each four bytes, the low one first: how a replica knows what a state has read. */
export async function textDigest(ids: Uint32Array): Promise<string> {
  // Workers run on little-endian machines only.
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", ids)));
}
