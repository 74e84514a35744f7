/** Chunks, each in memory of its own, as a stream that asks for the next one only when it is read. */
export interface ChunkStreamEvents {
  /** All has been read. */
  readonly onEnd?: () => void;
  /** It broke; the message that its reader sees. */
  readonly onBreak?: (cause: unknown) => string;
  /** Whatever happened: nothing more is read. */
  readonly onOver?: () => void;
}

export function chunkStream(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
  { onEnd, onBreak, onOver }: ChunkStreamEvents = {},
): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      type: "bytes",
      pull: async (controller) => {
        try {
          const { value } = await chunks.next();
          if (value !== undefined) {
            controller.enqueue(value);
            return;
          }
          onOver?.();
          onEnd?.();
          controller.close();
          controller.byobRequest?.respond(0);
        } catch (cause) {
          onOver?.();
          controller.error(new Error(onBreak?.(cause) ?? (cause instanceof Error ? cause.message : String(cause))));
        }
      },
      cancel: async () => {
        onOver?.();
        await chunks.return();
      },
    },
    { highWaterMark: 0 },
  );
}
