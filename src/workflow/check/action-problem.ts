// Why a task of a plugin would not run here, in the words that validation, plans and refused starts share.
import type { ActionProblem } from "../../model/index.ts";
import { didYouMean } from "./nearest.ts";

/** Null for an action that can be called, and for every built-in. */
export type FindActionProblem = (action: string) => ActionProblem | null;

export function pluginOf(action: string): string {
  return action.slice(0, action.indexOf("."));
}

/** `message` begins with a capital and names the plugin. */
export function describeProblem(action: string, problem: ActionProblem): { message: string; hint: string } {
  const plugin = pluginOf(action);
  switch (problem.kind) {
    case "not-installed":
      return {
        message: `The plugin "${plugin}" of the action "${action}" is not installed`,
        hint: didYouMean(action, problem.known) ?? "Install it: workflow plugin install PATH",
      };
    case "broken":
      return { message: `The plugin "${plugin}" is broken: ${problem.problem}`, hint: `See all of it: workflow plugin validate ${problem.folder}` };
    case "no-such-action":
      return {
        message: `The plugin "${plugin}" has no action "${action.slice(plugin.length + 1)}"`,
        hint: didYouMean(action, problem.known) ?? `It has ${problem.known.map((known) => known.slice(plugin.length + 1)).join(", ")}.`,
      };
    case "not-approved":
      return {
        message: `Tasks of the plugin "${plugin}" would be refused: it asks for more than was approved for this workflow (${problem.exceeded.join(", ")})`,
        hint: `Look at what it asks for, then: workflow plugin approve ${plugin}`,
      };
  }
}
