import { browserSuite } from "./browser/suite.ts";
import { calibrationSuite } from "./calibration/suite.ts";
import { chaosSuite } from "./chaos/suite.ts";
import { decisionsSuite } from "./decisions/suite.ts";
import { engineSuite } from "./engine/suite.ts";
import { fairSuite } from "./fair/suite.ts";
import { httpSuite } from "./http/suite.ts";
import { longSuite } from "./long/suite.ts";
import { poolSuite } from "./pool/suite.ts";
import { profileSuite } from "./profile/suite.ts";
import { routingSuite } from "./routing/suite.ts";
import { spikesSuite } from "./spikes/suite.ts";
import { stagesSuite } from "./stages/suite.ts";
import { startSuite } from "./start/suite.ts";
import { stateModesSuite } from "./state-modes/suite.ts";
import { stateSuite } from "./state/suite.ts";
import { structuredSuite } from "./structured/suite.ts";
import { sevenSuite } from "./threads/seven-suite.ts";
import { threadsSuite } from "./threads/suite.ts";
import { vllmSuite } from "./vllm/suite.ts";
import type { Suite } from "./suite.ts";

export const suites: readonly Suite[] = [
  browserSuite,
  calibrationSuite,
  chaosSuite,
  decisionsSuite,
  engineSuite,
  fairSuite,
  httpSuite,
  longSuite,
  poolSuite,
  profileSuite,
  routingSuite,
  spikesSuite,
  stagesSuite,
  startSuite,
  stateSuite,
  stateModesSuite,
  structuredSuite,
  sevenSuite,
  threadsSuite,
  vllmSuite,
];
