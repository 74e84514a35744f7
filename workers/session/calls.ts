/** Calls that the session Worker makes: to the pool, and to objects of its own. */
import { brokenCall, unwrap, type Service } from "../contracts/call.ts";
import type { Outcome } from "../contracts/outcome.ts";
import { ServiceError } from "../contracts/errors.ts";
import { describeCause, logLine } from "../observe/log-line.ts";

const logBroken = (service: Service) => (cause: unknown) => {
  logLine("error", "service_unreachable", { service, cause: describeCause(cause) });
};

/** The value of a call to the pool. @throws ServiceError that names it where the call breaks. */
export const fromPool = <T>(call: Promise<Outcome<T>>): Promise<T> => unwrap("pool", call, logBroken("pool"));

/** The value of a call to an object of the session service. @throws ServiceError that names the service where the call breaks. */
export const fromObject = <T>(call: Promise<Outcome<T>>): Promise<T> => unwrap("session", call, logBroken("session"));

/** An object of the session service, as seen over RPC: a call of it that breaks throws a ServiceError that names the service. */
export function reached<T extends object>(object: T): T {
  return new Proxy(object, {
    get(target, name) {
      // A stub is no promise, though any name may be asked of it.
      if (typeof name === "symbol" || name === "then") return undefined;
      return async (...values: readonly unknown[]) => {
        try {
          return await (target as Readonly<Record<string, (...values: readonly unknown[]) => Promise<unknown>>>)[name]?.(...values);
        } catch (cause) {
          if (cause instanceof ServiceError) throw cause;
          logBroken("session")(cause);
          throw brokenCall("session", cause);
        }
      };
    },
  });
}
