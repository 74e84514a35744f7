/** What is kept belongs to a key, so there must be one. */
import { ServiceError } from "../../contracts/errors.ts";
import type { TenantId } from "../../contracts/tenant.ts";
import type { GatewayContext } from "../environment.ts";

export function requireTenant(c: GatewayContext, what = "Sessions belong"): TenantId {
  const { tenant } = c.var;
  if (tenant !== null) return tenant;
  const message = `${what} to a key: send one as 'Authorization: Bearer …'.`;
  throw new ServiceError({ code: "invalid_api_key", status: 401, message, retryable: false });
}
