/**
 * Keeps each answer: what was asked before it begins and, where it is to be read, what came at its end. Its object reads the stream for that, which
 * goes on as it comes; otherwise it hands it on unread.
 */
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import type { ChainPool } from "./pool.ts";

interface SessionEnvironment {
  readonly POOL: Service<ChainPool>;
  readonly CHAIN_OBJECT: DurableObjectNamespace<ChainObject>;
}

const objects = 16;

export class ChainSession extends WorkerEntrypoint<SessionEnvironment> {
  async start(body: string, upstreams: string, reads: boolean): Promise<ReadableStream<Uint8Array>> {
    const object = this.env.CHAIN_OBJECT.getByName(String(Math.floor(Math.random() * objects)));
    return await object.start(body, upstreams, reads);
  }
}

export class ChainObject extends DurableObject<SessionEnvironment> {
  constructor(state: DurableObjectState, environment: SessionEnvironment) {
    super(state, environment);
    state.storage.sql.exec("CREATE TABLE IF NOT EXISTS answers (id INTEGER PRIMARY KEY, body TEXT NOT NULL, answer BLOB)");
  }

  async start(body: string, upstreams: string, reads: boolean): Promise<ReadableStream<Uint8Array>> {
    const { sql } = this.ctx.storage;
    const stream = await this.env.POOL.run(body, upstreams);
    const { id } = sql.exec<{ id: number }>("INSERT INTO answers (body) VALUES (?) RETURNING id", body).one();
    if (!reads) return stream;
    const reader = stream.getReader();
    const chunks: Uint8Array[] = [];
    return new ReadableStream({
      type: "bytes",
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) {
          sql.exec("UPDATE answers SET answer = ? WHERE id = ?", await new Blob(chunks).arrayBuffer(), id);
          controller.close();
          controller.byobRequest?.respond(0);
        } else {
          chunks.push(value.slice());
          controller.enqueue(value);
        }
      },
    });
  }
}

export default {
  fetch(): Response {
    return new Response("Not found\n", { status: 404 });
  },
} satisfies ExportedHandler;
