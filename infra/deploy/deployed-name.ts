import type { DeploySettings } from "./settings-file.ts";
import { baseName } from "./workers.ts";

/** The name that something has in a deployment. */
export function deployedName({ name }: Pick<DeploySettings, "name">, inRepositoryName: string): string {
  return name + inRepositoryName.slice(baseName.length);
}
