/** Calls that the session Worker makes: to an engine, and to objects of its own. */
import { unwrap, type Service } from "../contracts/call.ts";
import type { Outcome } from "../contracts/engine.ts";
import { describeCause, logLine } from "../observe/log-line.ts";

const logBroken = (service: Service) => (cause: unknown) => {
  logLine("error", "service_unreachable", { service, cause: describeCause(cause) });
};

/** The value of a call to an engine. @throws ServiceError that names the engine where the call breaks. */
export const fromEngine = <T>(call: Promise<Outcome<T>>): Promise<T> => unwrap("engine", call, logBroken("engine"));

/** The value of a call to an object of the session service. @throws ServiceError that names the service where the call breaks. */
export const fromObject = <T>(call: Promise<Outcome<T>>): Promise<T> => unwrap("session", call, logBroken("session"));
