// Executors of Dagu that have an action here: containers, HTTP, ssh, mail, jq, other DAGs.
import { isObject, type Json, type JsonObject } from "../../base/index.ts";
import { toJson } from "../source/raw-node.ts";
import { expand, soleTemplate, splitParams, type Variables } from "./dagu-variables.ts";
import { inputId, workflowId } from "./names.ts";
import type { Notebook, Place } from "./notes.ts";
import { type Field, openMap, scalarText, type SourceMap } from "./source-map.ts";
import { literal } from "./texts.ts";

/** What a step says to its executor. `config` is null where there is none. */
export type Call = {
  place: Place;
  config: SourceMap | null;
  command: string;
  script: string | null;
  variables: Variables;
  smtp: SourceMap | null;
  secrets: Set<string>;
  /** Names in texts that are set nowhere. */
  unknown: Set<string>;
  book: Notebook;
};
/** The keys of the task; null where it cannot be carried over. */
export type Converted = JsonObject | null;

type Texts = Pick<Call, "variables" | "unknown">;

/** A text in which Dagu puts values as a template. */
function expandText(text: string, { variables, unknown }: Texts): string {
  const expanded = expand(text, variables);
  for (const name of expanded.unknown) unknown.add(name);
  return expanded.template;
}

/** All texts of a value as templates. */
function expandJson(value: Json, texts: Texts): Json {
  if (typeof value === "string") return expandText(value, texts);
  if (Array.isArray(value)) return value.map((one) => expandJson(one, texts));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value as JsonObject).map(([key, one]) => [key, expandJson(one, texts)]));
}

function given(map: SourceMap | null, key: string, texts: Texts): Json | undefined {
  const field = map?.take(key) ?? null;
  return field === null ? undefined : expandJson(toJson(field.node), texts);
}

/** Members that are there. */
function present(members: Record<string, Json | undefined>): JsonObject {
  return Object.fromEntries(Object.entries(members).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

const hasShellWords = (command: string): boolean => /[|&;<>()$`\\"'*?[\]#~=%\n]/.test(command);

function docker(call: Call): Converted {
  const { config, command, script, book, place } = call;
  const image = given(config, "image", call);
  const pull = given(config, "pull", call);
  const remove = config?.take("autoRemove") ?? config?.take("auto_remove") ?? null;
  if (remove !== null) book.changed(remove, "Containers are always removed");
  const inner = config?.take("container") ?? null;
  const container = inner === null ? null : openMap(inner, book);
  const env = envOfContainer(container?.take("env") ?? null, call);
  const workdir = given(container, "workingDir", call);
  container?.rest("container");
  config?.leave("containerName", "A container that runs already is not carried over");
  config?.leave(
    "host",
    "The container's host settings are not carried over: it is confined as every task is",
    "permissions: filesystem: { read: [FOLDER] } mounts a folder.",
  );
  config?.rest("the docker executor");
  if (typeof image !== "string") return null;
  if (script !== null) book.changed(place, "The script is the container's command line");
  const line = script ?? command;
  const words = line === "" ? undefined : hasShellWords(line) ? literal(line) : line.split(/\s+/);
  const pulled = typeof pull === "boolean" ? (pull ? "always" : "never") : pull;
  return { type: "core/docker.run", inputs: present({ image, command: words, env, workdir, pull: pulled }) };
}

/** Variables of a container are texts. */
function envOfContainer(field: Field | null, call: Call): JsonObject {
  const text = (template: string): string => {
    const sole = soleTemplate(template);
    return sole === null ? template : `{{ string(${sole}) }}`;
  };
  const all: JsonObject = Object.fromEntries(
    [...call.variables].flatMap(([name, value]) => (/^[A-Za-z_]\w*$/.test(name) ? [[name, text(value)]] : [])),
  );
  const own = field === null ? null : toJson(field.node);
  const pairs = Array.isArray(own) ? own.map(String) : isObject(own) ? Object.entries(own).map(([name, value]) => `${name}=${String(value)}`) : [];
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals > 0) all[pair.slice(0, equals)] = text(expandText(pair.slice(equals + 1), call));
  }
  return all;
}

/** Older files write the configuration as JSON into the script. */
function configInScript(script: string | null): JsonObject {
  if (script === null) return {};
  try {
    const value = JSON.parse(script) as Json;
    return isObject(value) ? (value as JsonObject) : {};
  } catch {
    return {};
  }
}

function http(call: Call): Converted {
  const { config, command, script, book, place } = call;
  const [method = "GET", ...rest] = command.trim().split(/\s+/);
  const url = rest.length === 0 ? method : rest.join(" ");
  const inScript = expandJson(configInScript(script), call) as JsonObject;
  const member = (key: string): Json | undefined => given(config, key, call) ?? inScript[key];
  const seconds = member("timeout");
  const insecure = member("skipTLSVerify") ?? member("skip_tls_verify");
  const inputs = present({
    url: expandText(url, call),
    method: rest.length === 0 ? undefined : method.toUpperCase(),
    headers: member("headers"),
    query: member("query"),
    body: member("body"),
    timeout: typeof seconds === "number" && seconds > 0 ? `${seconds}s` : undefined,
    tls: insecure === true ? { insecure: true } : undefined,
  });
  for (const key of ["silent", "debug", "json"]) {
    const field = config?.take(key) ?? null;
    if (field !== null) book.changed(field, `"${key}" has no meaning here: status, headers and body are always the output`);
  }
  config?.rest("the http executor");
  const known = ["timeout", "headers", "query", "body", "skipTLSVerify", "skip_tls_verify", "silent", "debug", "json"];
  const unknown = Object.keys(inScript).filter((key) => !known.includes(key));
  if (unknown.length > 0 || (script !== null && Object.keys(inScript).length === 0))
    book.lost(
      place,
      `The script of this request is not carried over${unknown.length > 0 ? ` in part: ${unknown.join(", ").slice(0, 200)}` : ""}`,
      "Write headers:, query: and body: into inputs.",
    );
  return url === "" ? null : { type: "core/http.request", inputs };
}

function ssh(call: Call): Converted {
  const { config, command, script, book, place } = call;
  const host = given(config, "host", call) ?? given(config, "ip", call);
  const user = given(config, "user", call);
  const port = given(config, "port", call);
  const strict = config?.take("strictHostKey") ?? config?.take("strict_host_key") ?? null;
  const known = given(config, "knownHostFile", call) ?? given(config, "known_host_file", call);
  const isLoose = strict !== null && scalarText(strict.node) === "false";
  const inputs = present({
    host,
    user,
    port: typeof port === "string" && /^\d+$/.test(port) ? Number(port) : port,
    identityFile: given(config, "key", call),
    knownHosts: known,
    insecureHostKey: isLoose ? true : undefined,
    ...(script === null ? { command: literal(command) } : { script: literal(script) }),
  });
  config?.leave("password", "A password is not carried over", 'Use a key: identity: "{{ secrets.SSH_KEY }}".');
  config?.rest("the ssh executor");
  if (known === undefined && !isLoose)
    book.changed(place, "The other machine's key must be known", "Write knownHosts: with its line of known_hosts.");
  return typeof host === "string" && typeof user === "string" ? { type: "core/ssh.run", inputs } : null;
}

/** A password never stands in a workflow. */
function passwordOf(field: Field | null, { secrets, variables, book }: Call): string {
  const { template } = expand(scalarText(field?.node) ?? "", variables);
  if (soleTemplate(template) !== null) return template;
  secrets.add("SMTP_PASSWORD");
  if (field !== null) book.changed(field, "The password is not carried over: it became a secret", "workflow secrets set SMTP_PASSWORD");
  return "{{ secrets.SMTP_PASSWORD }}";
}

function mail(call: Call): Converted {
  const { config, smtp } = call;
  const host = given(smtp, "host", call);
  const port = given(smtp, "port", call);
  const username = given(smtp, "username", call);
  const password = smtp?.take("password") ?? null;
  const auth = username === undefined && password === null ? undefined : { user: username ?? "", password: passwordOf(password, call) };
  const attachments = given(config, "attachments", call);
  const from = given(config, "from", call);
  const inputs = present({
    host,
    port: typeof port === "string" && /^\d+$/.test(port) ? Number(port) : port,
    auth,
    from,
    to: given(config, "to", call),
    cc: given(config, "cc", call),
    bcc: given(config, "bcc", call),
    subject: given(config, "subject", call),
    text: given(config, "message", call),
    attachments: Array.isArray(attachments) ? attachments.map((path) => ({ path })) : undefined,
  });
  config?.rest("the mail executor");
  return typeof host === "string" && typeof from === "string" ? { type: "core/email.send", inputs } : null;
}

function jq({ config, command, script }: Call): Converted {
  const raw = config?.take("raw") ?? null;
  config?.rest("the jq executor");
  const flags = raw !== null && scalarText(raw.node) === "true" ? "-r " : "";
  let end = "JSON";
  while ((script ?? "").split("\n").includes(end)) end += "_";
  const filter = `'${command.replaceAll("'", "'\\''")}'`;
  return { run: script === null ? `jq ${flags}${filter}\n` : `jq ${flags}${filter} <<${end}\n${script}${script.endsWith("\n") ? "" : "\n"}${end}\n` };
}

const executors: Readonly<Record<string, (call: Call) => Converted>> = { docker, container: docker, http, ssh, mail, jq };

export const shellExecutors = new Set(["", "shell", "command", "sh", "bash"]);

/** The task of an executor; null, with a note, where it has no equivalent. */
export function convertExecutor(type: string, call: Call): Converted {
  const convert = Object.hasOwn(executors, type) ? executors[type] : undefined;
  if (convert === undefined) {
    call.book.lost(
      call.place,
      `The executor "${type.slice(0, 50)}" has no equivalent: the task is switched off`,
      "Write a run: task, or a plugin: workflow plugin init.",
    );
    return null;
  }
  const made = convert(call);
  if (call.unknown.size > 0)
    call.book.lost(
      call.place,
      `The step names ${[...call.unknown].join(", ").slice(0, 200)}, which is set nowhere and stays as text`,
      "Write {{ inputs.NAME }}, or {{ secrets.NAME }} with secrets: [NAME].",
    );
  if (made === null)
    call.book.lost(
      call.place,
      `The step does not say enough for the executor "${type}" here: the task is switched off`,
      "Write its inputs: workflow plugin inspect core.",
    );
  return made;
}

/** Another DAG as a workflow of its own, by its file's name. */
export function convertSubDag(
  name: string,
  params: Field | null,
  { variables, book, place }: Pick<Call, "variables" | "book" | "place">,
): JsonObject {
  const inputs: JsonObject = {};
  const unknown = new Set<string>();
  if (params?.node.kind === "scalar")
    for (const { name: key, value } of splitParams(scalarText(params.node) ?? ""))
      inputs[/^\d+$/.test(key) ? `arg${key}` : inputId(key)] = expandText(value, { variables, unknown });
  else if (params !== null) {
    const value = expandJson(toJson(params.node), { variables, unknown });
    for (const one of Array.isArray(value) ? value : [value]) if (isObject(one)) Object.assign(inputs, one);
  }
  if (unknown.size > 0) book.lost(place, `The parameters name ${[...unknown].join(", ").slice(0, 200)}, which is set nowhere and stays as text`);
  const base =
    name
      .split("/")
      .at(-1)
      ?.replace(/\.ya?ml$/, "") ?? name;
  book.changed(place, `The DAG "${name.slice(0, 100)}" must be imported and applied too`);
  return { type: "core/workflow.run", inputs: { workflow: workflowId(base, "imported"), ...(Object.keys(inputs).length === 0 ? {} : { inputs }) } };
}

/** The list that a step runs for; null where it is computed. */
export function convertParallel(field: Field, variables: Variables, book: Notebook): JsonObject | null {
  const texts = { variables, unknown: new Set<string>() };
  const map = field.node.kind === "map" ? openMap(field, book) : null;
  const items = map === null ? field : map.take("items");
  const most = given(map, "maxConcurrent", texts) ?? given(map, "max_concurrent", texts);
  map?.rest("parallel");
  const concurrency = typeof most === "number" ? { concurrency: most } : {};
  if (items?.node.kind === "list") return { forEach: expandJson(toJson(items.node), texts), ...concurrency };
  const sole = soleTemplate(expand(scalarText(items?.node) ?? "", variables).template);
  if (sole?.startsWith("inputs") === true)
    book.lost(field, "The list comes from an input, which must be one of type array", "Change the input's type.");
  return sole === null || !sole.startsWith("inputs") ? null : { forEach: `{{ ${sole} }}`, ...concurrency };
}
