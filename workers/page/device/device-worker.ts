/** The Worker's entry: answers the calls of the web page (`protocol.ts`), each on its port. */
import { Device } from "./device.ts";
import { failureOf } from "./failures.ts";
import { KeptConversations } from "./kept-conversations.ts";
import { stopWord, type DeviceCall, type DeviceCalls, type DeviceMethod, type DeviceReply } from "./protocol.ts";

type Serve<M extends DeviceMethod> = (
  device: Device,
  argument: DeviceCalls[M]["argument"],
  emit: (event: DeviceCalls[M]["event"]) => void,
  signal: AbortSignal,
) => Promise<DeviceCalls[M]["result"]>;

const methods: { readonly [M in DeviceMethod]: Serve<M> } = {
  load: (device, model, emit) => device.load(model, emit),
  answer: async (device, order, emit, signal) => (await device.answer(order, emit, signal), null),
  adopt: async (device, file) => (await device.adopt(file), null),
  give: (device, order) => device.give(order),
  retain: async (device, conversations) => (await device.retain(conversations), null),
  forget: async (device, conversation) => (await device.forget(conversation), null),
};

const device = KeptConversations.open().then((kept) => new Device(kept));

addEventListener("message", ({ data, ports: [port] }: MessageEvent<DeviceCall>) => {
  if (port !== undefined) void serve(data, port);
});

async function serve<M extends DeviceMethod>({ method, argument }: DeviceCall<M>, port: MessagePort): Promise<void> {
  const controller = new AbortController();
  const tell = (reply: DeviceReply<M>): void => {
    port.postMessage(reply);
  };
  port.onmessage = ({ data }) => {
    if (data === stopWord) controller.abort();
  };
  try {
    const result = await methods[method](await device, argument, (event) => tell({ event }), controller.signal);
    tell({ result });
  } catch (error) {
    tell({ failure: failureOf(error) });
  } finally {
    port.close();
  }
}
