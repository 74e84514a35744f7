/** Notes why an answer fails that has begun: its status has said that all is well. */
import type { ServiceFailure } from "../../contracts/errors.ts";
import { describeCause, logLine } from "../../observe/log-line.ts";
import type { GatewayContext } from "../environment.ts";

export const failureReporter = (c: GatewayContext) => (failure: ServiceFailure, cause: unknown) => {
  const { requestId, facts } = c.var;
  facts["failure"] = failure.code;
  if (failure.code !== "cancelled") logLine("error", "stream_failed", { requestId, code: failure.code, cause: describeCause(cause) });
};
