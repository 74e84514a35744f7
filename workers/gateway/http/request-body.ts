/** A request's body as a stream of bytes; an absent one is empty. */
export function bodyStream({ body }: Request): ReadableStream<Uint8Array> {
  const bytes = body as ReadableStream<Uint8Array> | null;
  return bytes ?? new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
}
