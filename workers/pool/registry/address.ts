/**
 * Which addresses the pool calls. An address must be the text that a URL parser would write for it, so that no other spelling of a host (numbers
 * in other bases, letters that look alike, tabs, a user's name in front) reaches a place that its text does not name.
 */
import { list, misconfigured, oneOf, type Variables } from "../../settings.ts";

export interface AddressRules {
  /** Exact hosts, and `*.suffix` for all below one. */
  readonly hosts: readonly string[];
  /** Whether addresses of this machine are taken, over plain HTTP: for development. */
  readonly loopback: boolean;
  /** Whether replicas are reached through a private network alone, where HTTP may be plain and a server listens where it likes. */
  readonly isPrivate: boolean;
}

/** What the rules are made of; the network is a binding, of which it only counts whether it is there. */
export const addressVariables = ["POOL_HOSTS", "POOL_LOOPBACK", "POOL_NETWORK"] as const;
export type AddressVariables = Variables<"POOL_HOSTS" | "POOL_LOOPBACK"> & { readonly POOL_NETWORK?: unknown };

const mostCharacters = 300;
const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const hostName = new RegExp(`^(?:${label}\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$`);
const loopbackAddress = /^http:\/\/(?:127\.0\.0\.1|\[::1\])(?::\d+)?$/;
/** Below it are a system's own services. */
const leastPrivatePort = 1024;
const pathPattern = /^(?:\/[A-Za-z0-9._~-]+)*$/;
/** Names that are answered within a network, by a machine itself or by a cloud's metadata service, whatever stands in front. */
const privateNames = ["localhost", "local", "internal", "intranet", "lan", "corp", "home", "private", "arpa"];

/** @throws ServiceError `configuration_invalid`. */
export function addressRules(variables: AddressVariables): AddressRules {
  const hosts = list(variables, "POOL_HOSTS", {
    each: "host names in small letters with a dot in them, or *. and such a name",
    pattern: /^(?:\*\.)?[a-z0-9.-]{1,253}$/,
  });
  const wrong = hosts.find((host) => hostProblem(host.replace(/^\*\./, "")) !== undefined);
  if (wrong !== undefined) throw misconfigured("POOL_HOSTS", "must name public hosts, each with a dot in it, and no addresses", wrong);
  const loopback = oneOf(variables, "POOL_LOOPBACK", ["allow", "refuse"] as const) === "allow";
  return { hosts, loopback, isPrivate: variables.POOL_NETWORK !== undefined };
}

/**
 * What is wrong with an address, in words that complete "must …"; undefined where the pool may call it. `hasPath` lets a path follow the host.
 * The words hold nothing of the address but its host, since a wrong one may hold a password.
 */
export function addressProblem(address: string, { hosts, loopback, isPrivate }: AddressRules, hasPath = false): string | undefined {
  if (address.length > mostCharacters) return `have at most ${String(mostCharacters)} characters`;
  if (!/^[\x21-\x7e]+$/.test(address)) return "have only printable ASCII characters, and no white space";
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined) return "be a URL";
  if (url.username !== "" || url.password !== "" || address.includes("@")) return "have no name and no password before its host";
  if (loopback && loopbackAddress.test(address) && url.origin === address) return undefined;
  if (url.protocol !== "https:" && !(isPrivate && url.protocol === "http:")) return `begin with https://${isPrivate ? " or http://" : ""}`;
  if (url.port !== "" && !isPrivate) return `have no port (it is ${url.port})`;
  if (url.port !== "" && Number(url.port) < leastPrivatePort)
    return `have no port, or one from ${String(leastPrivatePort)} on (it is ${url.port})`;
  const problem = hostProblem(url.hostname);
  if (problem !== undefined) return `${problem} (its host is ${url.hostname})`;
  const path = address.slice(url.origin.length);
  if (!address.startsWith(url.origin) || (path !== "" && (!hasPath || !pathPattern.test(path) || url.pathname !== path)))
    return `be https://${isPrivate ? " or http://" : ""} and a host name in small letters${hasPath ? ", with a path or without one" : ""}, and nothing else`;
  if (!hosts.some((host) => matches(url.hostname, host))) return `have a host that POOL_HOSTS names (its host is ${url.hostname})`;
  return undefined;
}

function hostProblem(host: string): string | undefined {
  if (host.endsWith(".")) return "have no dot at its host's end";
  if (!hostName.test(host)) return "have a host name with a dot in it, and no IP address";
  const last = host.slice(host.lastIndexOf(".") + 1);
  return privateNames.includes(last) ? `have no host that ends in .${last}` : undefined;
}

function matches(host: string, rule: string): boolean {
  return rule.startsWith("*.") ? host.endsWith(rule.slice(1)) && host.length >= rule.length : host === rule;
}
