import type { DeviceState } from "../state/types.ts";
import { useApp } from "./context.ts";
import { formatMegabytes } from "./format.ts";

/** How much of the model is here: over the network, or from what this browser has kept. */
export function DeviceProgress({ device }: { readonly device: Extract<DeviceState, { status: "loading" }> }) {
  const { texts } = useApp();
  const { received, total, downloads } = device;
  const [here, all] = [received, total].map((bytes) => formatMegabytes(bytes, texts.code)) as [string, string];
  return (
    <div class="device-progress">
      <span>{downloads ? texts.deviceDownloading(here, all) : texts.deviceLoading}</span>
      <progress aria-label={texts.deviceProgress} max={total} value={received} />
    </div>
  );
}
