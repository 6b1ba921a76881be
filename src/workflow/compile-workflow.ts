// A definition made ready for the engine: who depends on whom, and every expression behind a small interface.
import type { TaskDefinition, WorkflowDefinition } from "../model/index.ts";
import type { Json, JsonObject } from "../base/index.ts";
import { shellAction } from "./check/task-form.ts";
import { secretNames } from "./expression/secret-names.ts";
import type { Scope } from "./expression/scope.ts";
import { expressionTexts, type ItemList, itemListOf, mayReadOutputs } from "./item-list.ts";
import { type Condition, createCondition, createConstant, createTemplate, type Template } from "./expression/template.ts";
import { setMember } from "./source/raw-node.ts";

export type CompiledTask = {
  definition: TaskDefinition;
  /** Ids of the tasks that need this one, sorted. */
  dependents: string[];
  /** Null where the task has no `if`. */
  condition: Condition | null;
  /** Null for a task that runs once. */
  list: ItemList | null;
  /** Whether an expression may read the outputs of its items. */
  readonly isRead: boolean;
  inputs: Template;
  env: Template;
  /** Null where the task has no `outputs`. Here the task's own id may be read as `tasks.<id>`. */
  outputs: Template | null;
  /** Names that the templates of its inputs and env read, sorted, each once. Found when they are asked for first. */
  readonly secrets: readonly string[];
};

export type CompiledWorkflow = {
  definition: WorkflowDefinition;
  /** Tasks and handlers, in the order of the source: tasks, onFailure, finally. */
  tasks: Map<string, CompiledTask>;
  outputs: Template;
};

/** A script is used as it stands, whatever it holds; only what is beside it can hold expressions. */
function shellInputs(inputs: JsonObject): Template {
  const { script, ...others } = inputs;
  if (script === undefined) return createTemplate(inputs);
  if (Object.keys(others).every((key) => key === "shell")) return createConstant(inputs);
  const rest = createTemplate(others);
  return {
    evaluate(scope: Scope) {
      const out: JsonObject = { script };
      const evaluated = rest.evaluate(scope);
      for (const [key, value] of Object.entries(evaluated as { [key: string]: Json })) setMember(out, key, value);
      return out;
    },
  };
}

/** A script is no template, whatever it looks like. */
function secretsOf({ action, inputs, env }: TaskDefinition): string[] {
  const { script: _script, ...others } = inputs;
  return secretNames(action === shellAction ? others : inputs, env);
}

function compileTask(definition: TaskDefinition, texts: () => readonly string[]): CompiledTask {
  let isRead: boolean | null = null;
  let secrets: readonly string[] | null = null;
  return {
    definition,
    dependents: [],
    condition: definition.if === undefined ? null : createCondition(definition.if),
    list: itemListOf(definition),
    get isRead() {
      return (isRead ??= mayReadOutputs(texts(), definition.id));
    },
    inputs: definition.action === shellAction ? shellInputs(definition.inputs) : createTemplate(definition.inputs),
    env: createTemplate(definition.env),
    outputs: definition.outputs === undefined ? null : createTemplate(definition.outputs),
    get secrets() {
      return (secrets ??= secretsOf(definition));
    },
  };
}

/** Compiles a checked definition. Expressions are parsed when they are first evaluated. */
export function compileWorkflow(definition: WorkflowDefinition): CompiledWorkflow {
  const all = [...definition.tasks, ...definition.onFailure, ...definition.finally];
  let texts: readonly string[] | null = null;
  const textsOnce = () => (texts ??= expressionTexts(definition));
  const tasks = new Map(all.map((task) => [task.id, compileTask(task, textsOnce)]));
  for (const task of all) for (const need of task.needs) tasks.get(need)?.dependents.push(task.id);
  for (const task of tasks.values()) task.dependents.sort();
  return { definition, tasks, outputs: createTemplate(definition.outputs) };
}
