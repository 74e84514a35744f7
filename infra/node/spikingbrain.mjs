#!/usr/bin/env node
// `npx spikingbrain …`: the engine without Workers. Starts cli.ts on the project's own Node, with its dependencies in place.
import { runScript } from "../local/bootstrap.mjs";

runScript(["infra/node/cli.ts", ...process.argv.slice(2)]);
