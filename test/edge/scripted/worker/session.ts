/** The session Worker as it is, and a way to lose the object that runs a stream, as a machine that dies would. */
import { streamObjectName } from "../../../../workers/session/ids/ids.ts";
import { SessionService as Service, StreamObject as Streams } from "../../../../workers/session/index.ts";

export { DirectoryObject, SessionObject, ShareObject, TenantObject, default } from "../../../../workers/session/index.ts";

export class StreamObject extends Streams {
  lose(): void {
    this.ctx.abort("scripted loss");
  }
}

export class SessionService extends Service {
  async lose(stream: string): Promise<void> {
    const object = this.env.STREAM_OBJECT.getByName(streamObjectName(stream) ?? "") as unknown as { lose(): Promise<void> };
    await object.lose().catch(() => undefined);
  }
}
