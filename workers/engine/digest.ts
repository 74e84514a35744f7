/** SHA-256 of bytes as they come, by workerd's own stream. */

export interface Digest {
  write(chunk: Uint8Array): Promise<void>;
  /** Once, after the last byte. */
  end(): Promise<Uint8Array>;
}

/** Browsers, for which this is type-checked too, have no such stream. */
type DigestStreams = new (algorithm: "SHA-256") => WritableStream<Uint8Array> & { readonly digest: Promise<ArrayBuffer> };

export function newDigest(): Digest {
  const { DigestStream } = crypto as unknown as { readonly DigestStream: DigestStreams };
  const stream = new DigestStream("SHA-256");
  const writer = stream.getWriter();
  return {
    write: (chunk) => writer.write(chunk),
    async end() {
      await writer.close();
      return new Uint8Array(await stream.digest);
    },
  };
}
