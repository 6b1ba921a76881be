// Every command of the program, in the order in which help shows them.
import type { CommandSpec } from "./command.ts";
import { authorSpecs } from "./specs/author-specs.ts";
import { executionSpecs } from "./specs/execution-specs.ts";
import { laterSpecs } from "./specs/later-specs.ts";
import { pluginSpecs } from "./specs/plugin-specs.ts";
import { programSpecs } from "./specs/program-specs.ts";
import { recordSpecs } from "./specs/record-specs.ts";
import { secretSpecs } from "./specs/secret-specs.ts";
import { serverSpecs } from "./specs/server-specs.ts";
import { triggerSpecs } from "./specs/trigger-specs.ts";
import { workflowSpecs } from "./specs/workflow-specs.ts";

export const commandSpecs: readonly CommandSpec[] = [
  ...workflowSpecs,
  ...executionSpecs,
  ...triggerSpecs,
  ...authorSpecs,
  ...pluginSpecs,
  ...serverSpecs,
  ...secretSpecs,
  ...recordSpecs,
  ...laterSpecs,
  ...programSpecs,
];
