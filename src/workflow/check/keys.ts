// Every key of the workflow language, with its form and one sentence about it.
import { limits } from "../../base/index.ts";
import type { Key, KeysShape, Shape, TextShape } from "./shape.ts";

const workflowIdPattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;
const taskIdPattern = /^[A-Za-z_][A-Za-z0-9_-]*$/;
export const actionPattern = /^[a-z0-9-]+\/[a-z0-9-]+\.[a-z0-9-]+$/;

const text = (extra: Omit<TextShape, "is"> = {}): TextShape => ({ is: "text", ...extra });
const oneOf = (...values: string[]): TextShape => ({ is: "text", oneOf: values });
const list = (of: Shape, extra: { min?: number; max?: number } = {}): Shape => ({ is: "list", of, ...extra });
const key = (shape: Shape, about: string): Key => ({ shape, about });
const needed = (shape: Shape, about: string): Key => ({ shape, about, required: true });
const count: Shape = { is: "integer", min: 1 };
const flag: Shape = { is: "boolean" };
const duration: Shape = { is: "duration" };
const json: Shape = { is: "json" };
const templates: Shape = { is: "object", templates: true };
const description = key(text({ max: 10_000 }), "What it is for.");

const name = text({ pattern: taskIdPattern, max: 128, means: "a letter or _, then letters, digits, _ or -" });
const secretName = text({ pattern: /^[A-Za-z_][A-Za-z0-9_]*$/, max: 128, means: "a letter or _, then letters, digits or _" });

const permissionsShape: KeysShape = {
  is: "keys",
  name: "permissions",
  keys: {
    network: key(list(text({ min: 1 })), "Hosts that may be connected to: host:port, *.host:port, host:* or cidr:port."),
    filesystem: key(
      {
        is: "keys",
        name: "filesystem",
        keys: {
          read: key(list(text({ min: 1 })), "Files and folders that may be read and executed."),
          write: key(list(text({ min: 1 })), "Files and folders that may be written and read."),
        },
      },
      "Files and folders: absolute, relative to the workflow's folder, or below $workspace, $workdir, $input, $plugin, $worktree.",
    ),
    env: key(
      list(text({ pattern: /^[A-Za-z_][A-Za-z0-9_]*$/, means: "the name of an environment variable" })),
      "Names copied from the server's environment.",
    ),
    run: key(flag, "Whether other programs may be started."),
    listen: key(list({ is: "integer", min: 1, max: 65_535 }), "Loopback ports that may accept connections."),
    memoryMb: key(count, "Memory of one attempt, in MiB."),
    cpuSeconds: key(count, "Processor time of one attempt."),
    processes: key(count, "Processes of one attempt."),
    openFiles: key(count, "Open files of one attempt."),
    diskMb: key(count, "Disk space of one attempt, in MiB."),
    outputBytes: key(count, "Bytes of one attempt's output."),
  },
};

const retryShape: KeysShape = {
  is: "keys",
  name: "retry",
  keys: {
    max: key({ is: "integer", min: 1, max: 1000 }, "Attempts in total, the first included."),
    backoff: key(oneOf("constant", "linear", "exponential"), "How the delay grows."),
    delay: key(duration, "Delay before the second attempt."),
    backoffSeconds: key({ is: "number" }, "The same delay in seconds."),
    maxDelay: key(duration, "Longest delay."),
    jitter: key(flag, "Whether the delay is drawn between nothing and the computed one."),
  },
};

export const taskShape: KeysShape = {
  is: "keys",
  name: "a task",
  keys: {
    id: needed(name, "Names the task in needs and expressions."),
    type: key(text({ pattern: actionPattern, means: "namespace/plugin.action, such as core/log.write" }), "The action to run."),
    run: key(text({ min: 1 }), "A script; short for core/shell.run."),
    needs: key(list(text()), "Ids of the tasks that must end before this one starts."),
    if: key({ is: "either", of: [text(), flag] }, "A condition; the task is skipped where it is false."),
    forEach: key({ is: "either", of: [text(), list(json)] }, "A list; the task runs once per item, with item and index."),
    matrix: key(
      {
        is: "map",
        of: { is: "either", of: [list(json, { min: 1 }), text()] },
        key: /^[A-Za-z_][A-Za-z0-9_]*$/,
        keyMeans: "a letter or _, then letters, digits or _",
      },
      "Lists whose combinations the task runs for.",
    ),
    concurrency: key(count, "How many of its runs may go at once."),
    onLost: key(oneOf("retry", "fail", "ask"), "What follows when the server died during an attempt."),
    inputs: key(templates, "The action's inputs."),
    env: key(
      { is: "map", of: json, key: /^[A-Za-z_][A-Za-z0-9_]*$/, keyMeans: "the name of an environment variable" },
      "Environment of a script; values may hold expressions.",
    ),
    shell: key(oneOf("sh", "bash", "bun", "python3"), "What runs the script."),
    workdir: key(text({ min: 1 }), "Where the script starts: a path below the workspace."),
    retry: key(retryShape, "When and how often a failed attempt is repeated."),
    timeout: key({ is: "duration", min: 1 }, "Longest time of one attempt."),
    allowFailure: key(flag, "Whether a failure counts as done."),
    runtime: key(oneOf("process", "docker"), "Where the task's process runs."),
    image: key(text({ min: 1 }), "Container image, for runtime docker."),
    permissions: key(permissionsShape, "Narrows the workflow's permissions."),
    secrets: key(list(secretName), "Narrows the workflow's secrets."),
    cache: key(
      {
        is: "keys",
        name: "cache",
        keys: {
          key: needed(text({ min: 1 }), "What the result depends on."),
          ttl: needed({ is: "duration", min: 1 }, "How long a result is used again."),
        },
      },
      "Uses an earlier result with the same key.",
    ),
    outputs: key(templates, "Members put over the task's output."),
  },
};

const triggerId = needed(name, "Names the trigger.");
const triggerInputs = key(templates, "Inputs of the executions that it starts.");

const triggerVariants: Record<string, KeysShape> = {
  cron: {
    is: "keys",
    name: "a cron trigger",
    keys: {
      id: triggerId,
      type: needed(oneOf("cron"), "Starts executions by the clock."),
      cron: needed(text({ min: 1, max: 200 }), "5 or 6 fields, or @daily and its like."),
      timezone: key(text({ min: 1, max: 100 }), "IANA name of the zone; UTC by default."),
      catchUp: key(oneOf("none", "last", "all"), "Which missed times start after downtime."),
      inputs: triggerInputs,
    },
  },
  webhook: {
    is: "keys",
    name: "a webhook trigger",
    keys: {
      id: triggerId,
      type: needed(oneOf("webhook"), "Starts executions by HTTP requests."),
      path: needed(
        text({
          pattern: /^[A-Za-z0-9._~-]+(?:\/[A-Za-z0-9._~-]+)*$/,
          max: 200,
          means: "path segments of letters, digits and . _ ~ - without a slash at either end",
        }),
        "Last part of the address.",
      ),
      method: key(oneOf("POST", "PUT", "GET"), "HTTP method; POST by default."),
      secret: needed(secretName, "Name of the secret that requests are authenticated with."),
      inputs: triggerInputs,
    },
  },
  file: {
    is: "keys",
    name: "a file trigger",
    keys: {
      id: triggerId,
      type: needed(oneOf("file"), "Starts executions when files appear."),
      paths: needed(list(text({ min: 1 }), { min: 1 }), "Files to watch."),
      settle: key(duration, "How long a file must stay the same; 2s by default."),
      inputs: triggerInputs,
    },
  },
};

const triggerShape: Shape = { is: "variants", by: "type", name: "a trigger", of: triggerVariants };

/** `trigger:` with a single one needs no id. */
const singleTriggerShape: Shape = {
  is: "variants",
  by: "type",
  name: "a trigger",
  of: Object.fromEntries(
    Object.entries(triggerVariants).map(([type, shape]) => [
      type,
      { ...shape, keys: { ...shape.keys, id: key(name, "Names the trigger; its type by default.") } },
    ]),
  ),
};

const anyNumber: Shape = { is: "number" };
const size: Shape = { is: "integer", min: 0 };
const enumKey = key(list(json, { min: 1 }), "The values that are allowed.");
const numeric = {
  enum: enumKey,
  minimum: key(anyNumber, "Least value."),
  maximum: key(anyNumber, "Largest value."),
  multipleOf: key(anyNumber, "What it must be a multiple of."),
  exclusiveMinimum: key(anyNumber, "Must be more than this."),
  exclusiveMaximum: key(anyNumber, "Must be less than this."),
};

/** JSON Schema keys of an input by its type; `type` itself is added. */
export const inputSchemaKeys: Readonly<Record<string, Readonly<Record<string, Key>>>> = {
  string: {
    enum: enumKey,
    pattern: key(text(), "Regular expression (RE2) that must be found."),
    minLength: key(size, "Least number of characters."),
    maxLength: key(size, "Largest number of characters."),
    format: key(oneOf("date-time", "date", "uuid", "uri", "email"), "A named form."),
  },
  integer: numeric,
  number: numeric,
  boolean: { enum: enumKey },
  object: {
    required: key(
      { is: "either", of: [flag, list(text({ min: 1 }))] },
      "Whether an execution needs it; as a list: the members that its value must have.",
    ),
    properties: key({ is: "object" }, "Schemas of members."),
    additionalProperties: key({ is: "either", of: [flag, { is: "object" }] }, "Whether, or which, other members are allowed."),
    patternProperties: key({ is: "object" }, "Schemas of members by pattern."),
    propertyNames: key({ is: "object" }, "Schema of member names."),
    minProperties: key(size, "Least number of members."),
    maxProperties: key(size, "Largest number of members."),
  },
  array: {
    items: key({ is: "object" }, "Schema of the items."),
    minItems: key(size, "Least number of items."),
    maxItems: key(size, "Largest number of items."),
    uniqueItems: key(flag, "Whether all items must differ."),
    contains: key({ is: "object" }, "Schema that one item must fit."),
  },
};

const inputId = needed(name, "Names the input.");
const inputBase = {
  required: key(flag, "Whether an execution needs it."),
  default: key(json, "Value where none is given."),
  description,
  sensitive: key(flag, "Whether it is masked like a secret."),
};

const inputShape: Shape = {
  is: "variants",
  by: "type",
  name: "an input",
  of: Object.fromEntries(
    Object.entries(inputSchemaKeys).map(([type, keys]) => [
      type,
      {
        is: "keys",
        name: `an input of type ${type}`,
        keys: { id: inputId, type: needed(oneOf(type), "JSON type."), ...inputBase, ...keys },
      } satisfies KeysShape,
    ]),
  ),
};

const tasks = list(taskShape, { max: limits.tasksMax });

export const workflowShape: KeysShape = {
  is: "keys",
  name: "a workflow",
  keys: {
    apiVersion: key(oneOf("v1"), "Version of the language."),
    id: needed(text({ pattern: workflowIdPattern, means: "lower-case letters, digits, _ and -, at most 63" }), "Names the workflow."),
    name: key(text({ max: 200 }), "A name for people."),
    description,
    labels: key({ is: "map", of: text({ max: 1000 }), max: 100 }, "Free text by key."),
    enabled: key(flag, "Whether triggers may start it."),
    inputs: key(list(inputShape), "What an execution takes."),
    vars: key({ is: "object" }, "Constants for expressions."),
    secrets: key(list(secretName), "Names of the secrets that may be used."),
    permissions: key(permissionsShape, "What the tasks may do."),
    triggers: key(list(triggerShape), "What starts executions."),
    trigger: key(singleTriggerShape, "The only trigger."),
    concurrency: key(
      {
        is: "keys",
        name: "concurrency",
        keys: {
          limit: needed(count, "Executions at once."),
          onLimit: key(oneOf("queue", "skip", "cancel_running"), "What happens to a further one."),
        },
      },
      "Limits executions of this workflow.",
    ),
    timeout: key({ is: "duration", min: 1 }, "Longest time of an execution."),
    tasks: needed(list(taskShape, { min: 1, max: limits.tasksMax }), "The tasks."),
    onFailure: key(tasks, "Tasks that run after a failure."),
    finally: key(tasks, "Tasks that run at the end in any case."),
    outputs: key(templates, "Outputs of a successful execution."),
  },
};
