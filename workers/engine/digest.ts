/** SHA-256 of bytes as they come: by workerd's own stream, and where there is none, as in browsers, of all bytes once they are there. */

export interface Digest {
  write(chunk: Uint8Array): Promise<void>;
  /** Once, after the last byte. */
  end(): Promise<Uint8Array>;
}

type DigestStreams = new (algorithm: "SHA-256") => WritableStream<Uint8Array> & { readonly digest: Promise<ArrayBuffer> };

/** Of at most `bytes` bytes, which is what the second kind takes of the memory. */
export function newDigest(bytes: number): Digest {
  const { DigestStream } = crypto as { readonly DigestStream?: DigestStreams };
  return DigestStream === undefined ? ofAllBytes(bytes) : ofStream(new DigestStream("SHA-256"));
}

function ofStream(stream: InstanceType<DigestStreams>): Digest {
  const writer = stream.getWriter();
  return {
    write: (chunk) => writer.write(chunk),
    async end() {
      await writer.close();
      return new Uint8Array(await stream.digest);
    },
  };
}

function ofAllBytes(most: number): Digest {
  const bytes = new Uint8Array(most);
  let length = 0;
  return {
    write(chunk) {
      bytes.set(chunk, length);
      length += chunk.byteLength;
      return Promise.resolve();
    },
    end: async () => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.subarray(0, length))),
  };
}
