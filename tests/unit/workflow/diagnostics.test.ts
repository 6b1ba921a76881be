// Every diagnostic code of the language, each with its exact place.
import { describe, expect, test } from "bun:test";
import { diagnosticCodes } from "../../../src/model/index.ts";
import { check, type CheckOptions, findings, withTask } from "./check-source.ts";

type Case = { name: string; source: string; found: string[]; options?: CheckOptions };

const cases: Case[] = [
  { name: "broken YAML", source: "id: [a\n", found: ["YAML_SYNTAX - 2:1"] },
  { name: "two documents", source: "id: a\n---\nid: b\n", found: ["YAML_SYNTAX - 2:1"] },
  { name: "nothing but a comment", source: "# hello\n", found: ["YAML_SYNTAX - 1:1"] },
  { name: "the same key twice", source: `${withTask("")}id: v\n`, found: ["YAML_SYNTAX - 4:1"] },
  { name: "an alias without its anchor", source: "id: *x\n", found: ["YAML_SYNTAX - 1:5"] },
  { name: "a tag", source: "id: !foo a\n", found: ["YAML_SYNTAX - 1:5"] },
  { name: "an alias inside its own anchor", source: "id: w\nvars: &v { again: *v }\n", found: ["YAML_LIMIT - 2:19"] },
  {
    name: "unknown keys at every level",
    source: withTask("nmae: x\n", "{ id: a, run: x, retry: { mx: 1 } }"),
    found: ["UNKNOWN_KEY nmae 2:1", "UNKNOWN_KEY tasks[0].retry.mx 4:31"],
  },
  { name: "missing keys", source: "name: w\ntasks:\n  - run: x\n", found: ["MISSING_KEY id 1:1", "MISSING_KEY tasks[0].id 3:5"] },
  { name: "a webhook without a secret", source: withTask("trigger: { type: webhook, path: p }\n"), found: ["MISSING_KEY trigger.secret 2:10"] },
  { name: "a trigger without a type", source: withTask("triggers:\n  - { id: t }\n"), found: ["MISSING_KEY triggers[0].type 3:5"] },
  {
    name: "type and run",
    source: withTask("", "{ id: a, type: core/log.write, run: x, inputs: { message: m } }"),
    found: ["EXCLUSIVE_KEYS tasks[0].run 3:36"],
  },
  { name: "neither type nor run", source: withTask("", "{ id: a }"), found: ["EXCLUSIVE_KEYS tasks[0] 3:5"] },
  {
    name: "forEach and matrix",
    source: withTask("", "{ id: a, run: x, forEach: [1], matrix: { m: [1] } }"),
    found: ["EXCLUSIVE_KEYS tasks[0].matrix 3:36"],
  },
  {
    name: "trigger and triggers",
    source: withTask("triggers: []\ntrigger: { type: cron, cron: '@daily' }\n"),
    found: ["EXCLUSIVE_KEYS trigger 3:1"],
  },
  {
    name: "env without a script",
    source: withTask("", "{ id: a, type: core/value.set, env: { A: b } }"),
    found: ["EXCLUSIVE_KEYS tasks[0].env 3:36"],
  },
  {
    name: "wrong types",
    source: withTask("enabled: yes\nlabels: [a]\n", "{ id: a, run: x, needs: b }"),
    found: ["WRONG_TYPE enabled 2:10", "WRONG_TYPE labels 3:9", "WRONG_TYPE tasks[0].needs 5:29"],
  },
  { name: "no map at all", source: "- a\n", found: ["WRONG_TYPE - 1:1"] },
  {
    name: "bad values",
    source: `id: UP\ntasks:\n  - { id: 9a, run: x, retry: { max: 0 }, onLost: rety }\n`,
    found: ["BAD_VALUE id 1:5", "BAD_VALUE tasks[0].id 3:11", "BAD_VALUE tasks[0].retry.max 3:37", "BAD_VALUE tasks[0].onLost 3:50"],
  },
  { name: "an id other than the one asked for", source: withTask(""), found: ["BAD_VALUE id 1:5"], options: { expectId: "other" } },
  {
    name: "relative entries without a folder",
    source: withTask("permissions: { filesystem: { read: [./a, /b, $workspace], write: [c] } }\n"),
    found: ["BAD_VALUE permissions.filesystem.read[0] 2:37", "BAD_VALUE permissions.filesystem.write[0] 2:67"],
    options: { hasFolder: false },
  },
  {
    name: "malformed network entries",
    source: withTask("permissions: { network: ['https://a.b', 'a.b', 'a.b:99999', '*:1', 'a.b:443', '*.a.b:*', '10.0.0.0/8:22', '[::1]:80'] }\n"),
    found: [
      "BAD_VALUE permissions.network[0] 2:26",
      "BAD_VALUE permissions.network[1] 2:41",
      "BAD_VALUE permissions.network[2] 2:48",
      "BAD_VALUE permissions.network[3] 2:61",
    ],
  },
  {
    name: "a default that does not fit",
    source: withTask("inputs:\n  - { id: n, type: integer, default: x }\n"),
    found: ["BAD_VALUE inputs[0].default 3:38"],
  },
  {
    name: "a pattern that is not RE2",
    source: withTask("inputs:\n  - { id: n, type: string, pattern: '(?=a)' }\n"),
    found: ["BAD_VALUE inputs[0].pattern 3:37"],
  },
  {
    name: "a key of another input type",
    source: withTask("inputs:\n  - { id: n, type: string, minimum: 1 }\n"),
    found: ["UNKNOWN_KEY inputs[0].minimum 3:28"],
  },
  { name: "expressions in constants", source: withTask('vars: { a: "{{ inputs.x }}", b: "{{.Names}}" }\n'), found: ["BAD_VALUE vars.a 2:12"] },
  {
    name: "expressions without a name in constants",
    source: withTask(
      'inputs: [{ id: d, type: string, default: "{{ 1 }}" }]\nvars: { a: "x {{ 1 + 1 }}", b: ["{{ }} {{ b c }}"], c: "\\\\{{ 1 }}" }\n',
    ),
    found: ["BAD_VALUE inputs[0].default 2:42", "BAD_VALUE vars.a 3:12"],
  },
  {
    name: "keys of nested schemas",
    source: withTask(
      "inputs:\n  - { id: o, type: object, properties: { a: { minimun: 3 }, b: { anyOf: [{ typo: string }] } }, additionalProperties: { maxLenght: 1 } }\n  - { id: l, type: array, items: { type: object, properties: { minimun: { type: string } }, requierd: [x] } }\n",
    ),
    found: [
      "UNKNOWN_KEY inputs[0].properties.a.minimun 3:47",
      "UNKNOWN_KEY inputs[0].properties.b.anyOf[0].typo 3:76",
      "UNKNOWN_KEY inputs[0].additionalProperties.maxLenght 3:121",
      "UNKNOWN_KEY inputs[1].items.requierd 4:93",
    ],
  },
  {
    name: "a text that a list was meant to be",
    source: withTask("", "{ id: a, run: x, forEach: ' {{ [1] }}' }"),
    found: ["BAD_VALUE tasks[0].forEach 3:31"],
  },
  { name: "a condition that is no condition", source: withTask("", "{ id: a, run: x, if: '{{ 1 + 1 }}' }"), found: ["BAD_VALUE tasks[0].if 3:26"] },
  {
    name: "a workdir outside of the workspace",
    source: withTask("", "{ id: a, run: x, workdir: ../b }"),
    found: ["BAD_VALUE tasks[0].workdir 3:31"],
  },
  {
    name: "bad durations",
    source: withTask("timeout: 30\n", "{ id: a, run: x, timeout: 5 minutes, retry: { delay: -1s } }"),
    found: ["BAD_DURATION timeout 2:10", "BAD_DURATION tasks[0].timeout 4:31", "BAD_DURATION tasks[0].retry.delay 4:58"],
  },
  {
    name: "an id used twice, every occurrence",
    source: "id: w\ntasks:\n  - { id: a, run: x }\n  - { id: b, run: x }\nfinally:\n  - { id: a, run: x }\n",
    found: ["DUPLICATE_ID tasks[0].id 3:11", "DUPLICATE_ID finally[0].id 6:11"],
  },
  {
    name: "two webhooks at one address",
    source: withTask(
      "secrets: [S]\ntriggers:\n  - { id: a, type: webhook, path: p, secret: S }\n  - { id: b, type: webhook, path: p, method: POST, secret: S }\n  - { id: c, type: webhook, path: p, method: PUT, secret: S }\n",
    ),
    found: ["DUPLICATE_ID triggers[0].path 4:35", "DUPLICATE_ID triggers[1].path 5:35"],
  },
  {
    name: "unknown and own needs",
    source: "id: w\ntasks:\n  - { id: build, run: x }\n  - { id: b, run: x, needs: [build, biuld, b] }\n",
    found: ["UNKNOWN_NEED tasks[1].needs[1] 4:37", "SELF_NEED tasks[1].needs[2] 4:44"],
  },
  {
    name: "a task that needs a handler",
    source: "id: w\ntasks:\n  - { id: a, run: x, needs: [h] }\nfinally:\n  - { id: h, run: x }\n  - { id: i, run: x, needs: [h] }\n",
    found: ["UNKNOWN_NEED tasks[0].needs[0] 3:30"],
  },
  {
    name: "a cycle",
    source: "id: w\ntasks:\n  - { id: a, run: x, needs: [c] }\n  - { id: b, run: x, needs: [a] }\n  - { id: c, run: x, needs: [b] }\n",
    found: ["CYCLE tasks[1].needs[0] 4:30"],
  },
  {
    name: "cron expressions",
    source: withTask(
      "triggers:\n  - { id: a, type: cron, cron: '* * * *' }\n  - { id: b, type: cron, cron: '61 * * * *' }\n  - { id: c, type: cron, cron: '0 0 30 2 *' }\n  - { id: d, type: cron, cron: '@dayly' }\n  - { id: e, type: cron, cron: '@daily' }\n  - { id: f, type: cron, cron: '*/5 0 9 * JAN-MAR MON' }\n",
    ),
    found: ["BAD_CRON triggers[0].cron 3:32", "BAD_CRON triggers[1].cron 4:32", "BAD_CRON triggers[2].cron 5:32", "BAD_CRON triggers[3].cron 6:32"],
  },
  {
    name: "a time zone",
    source: withTask("trigger: { type: cron, cron: '@daily', timezone: Europe/Pari }\n"),
    found: ["BAD_TIMEZONE trigger.timezone 2:50"],
  },
  {
    name: "expression syntax",
    source: withTask("", "{ id: a, type: core/value.set, inputs: { v: 'x {{ 1 + }}', w: '{{ foo(1) }}', x: '{{ 1' } }"),
    found: ["EXPR_SYNTAX tasks[0].inputs.v 3:59", "EXPR_SYNTAX tasks[0].inputs.w 3:71", "EXPR_SYNTAX tasks[0].inputs.x 3:87"],
  },
  {
    name: "unknown names",
    source: withTask(
      "inputs: [{ id: day, type: string }]\nvars: { base: b }\n",
      "{ id: a, type: core/value.set, inputs: { v: '{{ input.day }}', w: '{{ inputs.dya }}', x: '{{ vars.bse + item }}', y: '{{ tasks.b.output }}' } }",
    ),
    found: [
      "EXPR_UNKNOWN_ROOT tasks[0].inputs.v 5:53",
      "EXPR_UNKNOWN_ROOT tasks[0].inputs.w 5:75",
      "EXPR_UNKNOWN_ROOT tasks[0].inputs.x 5:98",
      "EXPR_UNKNOWN_ROOT tasks[0].inputs.x 5:109",
      "EXPR_UNKNOWN_ROOT tasks[0].inputs.y 5:126",
    ],
  },
  {
    name: "members that do not exist",
    source: withTask("outputs: { a: '{{ execution.ended }}', b: '{{ trigger.bdy }}', c: '{{ tasks.a.result }}', d: '{{ env.TZ }}' }\n"),
    found: [
      "EXPR_UNKNOWN_ROOT outputs.a 2:19",
      "EXPR_UNKNOWN_ROOT outputs.b 2:47",
      "EXPR_UNKNOWN_ROOT outputs.c 2:71",
      "EXPR_UNKNOWN_ROOT outputs.d 2:98",
    ],
  },
  {
    name: "a hyphen read as minus",
    source: "id: w\ntasks:\n  - { id: a-b, run: x }\n  - { id: c, needs: [a-b], type: core/value.set, inputs: { v: '{{ tasks.a-b.output }}' } }\n",
    found: ["EXPR_UNKNOWN_ROOT tasks[1].inputs.v 4:67"],
  },
  {
    name: "a task that is not upstream",
    source:
      "id: w\ntasks:\n  - { id: a, run: x }\n  - { id: b, run: x, needs: [a] }\n  - { id: c, needs: [b], run: x, env: { A: '{{ tasks.a.output }}', D: '{{ tasks.d.output }}', C: '{{ tasks.c.output }}' } }\n  - { id: d, run: x }\n",
    found: ["EXPR_NOT_UPSTREAM tasks[2].env.D 5:75", "EXPR_NOT_UPSTREAM tasks[2].env.C 5:102"],
  },
  {
    name: "an expression without quotes",
    source: withTask("", "{ id: a, type: core/value.set, inputs: { v: {{ inputs.x }} } }"),
    found: ["EXPR_UNQUOTED tasks[0].inputs.v 3:49"],
  },
  {
    name: "an expression without quotes in a sentence",
    source: "id: w\ntasks:\n  - id: a\n    type: core/value.set\n    inputs:\n      v: {{ inputs.x }} and more\n",
    found: ["EXPR_UNQUOTED - 6:10"],
  },
  {
    name: "secrets that are not listed",
    source: `id: w\nsecrets: [ONE, TWO]\ntrigger: { type: webhook, path: p, secret: HOOK }\ntasks:\n  - { id: a, run: x, secrets: [ONE, THREE], env: { A: "{{ secrets.ONE }}", B: "{{ secrets.TWO }}" } }\n`,
    found: ["SECRET_NOT_LISTED trigger.secret 3:44", "SECRET_NOT_LISTED tasks[0].secrets[1] 5:37", "SECRET_NOT_LISTED tasks[0].env.B 5:83"],
  },
  {
    name: "[WF-09] secrets where they would be recorded: everywhere but in a task's inputs and env",
    source: [
      "id: w",
      "secrets: [S]",
      "inputs: [{ id: i, type: string }]",
      "trigger: { type: webhook, path: p, secret: S, inputs: { i: '{{ secrets.S }}' } }",
      "tasks:",
      "  - id: a",
      "    run: x",
      "    if: secrets.S == 'x'",
      "    forEach: '{{ [secrets.S] }}'",
      "    env: { A: 'x{{ secrets.S }}' }",
      "    outputs: { o: '{{ secrets.S }}' }",
      "    cache: { key: 'k{{ secrets.S }}', ttl: 1h }",
      "  - { id: b, type: core/value.set, matrix: { m: ['{{ secrets.S }}'] }, inputs: { v: '{{ secrets[\"S\"] }}' } }",
      "finally: [{ id: c, run: x, if: '{{ size(secrets.S) > 1 }}' }]",
      "outputs: { o: '{{ secrets.S }}' }",
      "",
    ].join("\n"),
    found: [
      "EXPR_UNKNOWN_ROOT trigger.inputs.i 4:64",
      "EXPR_UNKNOWN_ROOT tasks[0].if 8:9",
      "EXPR_UNKNOWN_ROOT tasks[0].forEach 9:19",
      "EXPR_UNKNOWN_ROOT tasks[0].outputs.o 11:23",
      "EXPR_UNKNOWN_ROOT tasks[0].cache.key 12:24",
      "EXPR_UNKNOWN_ROOT tasks[1].matrix.m[0] 13:54",
      "EXPR_UNKNOWN_ROOT finally[0].if 14:41",
      "EXPR_UNKNOWN_ROOT outputs.o 15:19",
    ],
  },
  {
    name: "[WF-09] secrets that the workflow does not list, also where none may be used",
    source: [
      "id: w",
      "secrets: [S]",
      "inputs: [{ id: i, type: string }]",
      "trigger: { type: webhook, path: p, secret: S, inputs: { i: '{{ secrets.QQ }}' } }",
      "tasks:",
      "  - id: a",
      "    run: x",
      "    if: secrets.QQ == 'x'",
      "    forEach: '{{ [secrets.QQ] }}'",
      "    env: { A: 'x{{ secrets.QQ }}' }",
      "    outputs: { o: '{{ secrets.QQ }}' }",
      "    cache: { key: 'k{{ secrets.QQ }}', ttl: 1h }",
      "  - { id: b, type: core/value.set, matrix: { m: ['{{ secrets.QQ }}'] }, inputs: { v: '{{ secrets[\"QQ\"] }}' } }",
      "finally: [{ id: c, run: x, if: '{{ size(secrets.QQ) > 1 }}' }]",
      "outputs: { o: '{{ secrets.QQ }}' }",
      "",
    ].join("\n"),
    found: [
      "SECRET_NOT_LISTED trigger.inputs.i 4:64",
      "SECRET_NOT_LISTED tasks[0].if 8:9",
      "SECRET_NOT_LISTED tasks[0].forEach 9:19",
      "SECRET_NOT_LISTED tasks[0].env.A 10:20",
      "SECRET_NOT_LISTED tasks[0].outputs.o 11:23",
      "SECRET_NOT_LISTED tasks[0].cache.key 12:24",
      "SECRET_NOT_LISTED tasks[1].matrix.m[0] 13:54",
      "SECRET_NOT_LISTED tasks[1].inputs.v 13:90",
      "SECRET_NOT_LISTED finally[0].if 14:41",
      "SECRET_NOT_LISTED outputs.o 15:19",
    ],
  },
  {
    name: "[WF-09] templates with secrets where nothing is replaced",
    source: withTask(
      "secrets: [S]\nvars: { a: '{{ secrets.S }}' }\npermissions: { network: ['{{ secrets.S }}:443'] }\nconcurrency: { limit: '{{ secrets.S }}' }\n",
    ),
    found: ["BAD_VALUE vars.a 3:12", "BAD_VALUE permissions.network[0] 4:26", "WRONG_TYPE concurrency.limit 5:23"],
  },
  {
    name: "secrets that are not named literally",
    source: `id: w\nsecrets: [S]\ntasks:\n  - { id: a, run: x, env: { A: "{{ secrets }}", B: "{{ secrets['S' + ''] }}", C: "{{ secrets.map(n, n) }}" } }\n`,
    found: ["SECRET_NOT_LISTED tasks[0].env.A 4:36", "SECRET_NOT_LISTED tasks[0].env.B 4:56", "SECRET_NOT_LISTED tasks[0].env.C 4:86"],
  },
  { name: "an unknown built-in", source: withTask("", "{ id: a, type: core/log.wirte }"), found: ["UNKNOWN_ACTION tasks[0].type 3:20"] },
  {
    name: "an action that is not installed",
    source: withTask("", "{ id: a, type: acme/report.build }"),
    found: ["?UNKNOWN_ACTION tasks[0].type 3:20"],
  },
  {
    name: "an action that its plugin has not",
    source: withTask("", "{ id: a, type: acme/report.bild }"),
    found: ["UNKNOWN_ACTION tasks[0].type 3:20"],
    options: { findProblem: () => ({ kind: "no-such-action", known: ["acme/report.build"] }) },
  },
  {
    name: "a plugin that asks for more than was approved",
    source: withTask("", "{ id: a, type: acme/report.build }"),
    found: ["?PLUGIN_NOT_APPROVED tasks[0].type 3:20"],
    options: { findProblem: () => ({ kind: "not-approved", exceeded: ["env: [TZ]"] }) },
  },
  {
    name: "containers without an image",
    source: withTask(
      "",
      "{ id: a, run: x, runtime: docker }\n  - { id: b, run: x, runtime: docker, image: busybox }\n  - { id: c, type: core/docker.run, runtime: docker, inputs: { image: busybox } }",
    ),
    found: ["?MISSING_KEY tasks[0].image 3:31"],
  },
  {
    name: "inputs that do not fit",
    source: withTask("", "{ id: a, type: core/log.write, inputs: { level: LOUD, text: x } }"),
    found: ["INPUT_MISMATCH tasks[0].inputs 3:44", "INPUT_MISMATCH tasks[0].inputs.level 3:53", "INPUT_MISMATCH tasks[0].inputs.text 3:59"],
  },
  { name: "a wait without a time", source: withTask("", "{ id: a, type: core/wait.for }"), found: ["INPUT_MISMATCH tasks[0].inputs 3:5"] },
  {
    name: "an input that a trigger makes up",
    source: withTask("trigger: { type: cron, cron: '@daily', inputs: { x: 1 } }\n"),
    found: ["UNKNOWN_KEY trigger.inputs.x 2:50"],
  },
  {
    name: "an expression in a script",
    source:
      "id: w\ninputs: [{ id: x, type: string }]\ntasks:\n  - id: a\n    run: |\n      docker ps --format '{{.Names}}'\n      echo {{ inputs.x }}\n",
    found: ["?TEMPLATE_IN_SCRIPT tasks[0].run 7:12"],
  },
  {
    name: "grants that never match",
    source: withTask(
      "permissions: { env: [TZ, LD_PRELOAD], network: ['*.a.b:443'] }\n",
      "{ id: a, run: x, permissions: { env: [HOME], network: ['x.a.b:443', 'c.d:1'] } }",
    ),
    found: [
      "?GRANT_UNUSED permissions.env[1] 2:26",
      "?GRANT_UNUSED tasks[0].permissions.env[0] 4:43",
      "?GRANT_UNUSED tasks[0].permissions.network[1] 4:73",
    ],
  },
];

describe("diagnostics", () => {
  test.each(cases.map((one) => [one.name, one] as const))("%s", (_name, { source, found, options }) => {
    expect(findings(source, options)).toEqual(found);
  });

  test("every code of the table is found by some case, but the one that the app adds", () => {
    const seen = new Set(cases.flatMap(({ found }) => found.map((line) => line.replace("?", "").split(" ", 1)[0])));
    expect(Object.keys(diagnosticCodes).filter((code) => !seen.has(code))).toEqual(["NOT_AVAILABLE_YET"]);
  });

  test("the definition is null exactly when there is an error", () => {
    for (const { source, options } of cases) {
      const { definition, diagnostics } = check(source, options);
      expect(definition === null).toBe(diagnostics.some((found) => found.severity === "error"));
    }
  });

  test("hints name what was meant", () => {
    const hints = (source: string): (string | undefined)[] => check(source).diagnostics.map((found) => found.hint);
    expect(hints(withTask("nmae: x\n"))).toEqual(['Did you mean "name"?']);
    expect(
      hints("id: w\ntasks:\n  - { id: a-b, run: x }\n  - { id: c, needs: [a-b], type: core/value.set, inputs: { v: '{{ tasks.a-b.output }}' } }\n"),
    ).toEqual(['Write tasks["a-b"]']);
    const narrowed = "{ id: a, run: x, secrets: [TWO], env: { A: '{{ secrets.ONE }}', B: '{{ secrets.THREE }}' } }";
    expect(hints(withTask("secrets: [ONE, TWO]\n", narrowed))).toEqual([
      "Add it to the task's own list: secrets: [TWO, ONE]",
      "Add it to the workflow: secrets: [ONE, TWO, THREE]",
    ]);
    expect(hints(withTask("", "{ id: a, type: core/log.wirte }"))).toEqual(['Did you mean "core/log.write"?']);
  });

  test("a cycle is shown as a chain that ends where it starts", () => {
    const [found] = check(
      "id: w\ntasks:\n  - { id: a, run: x, needs: [c] }\n  - { id: b, run: x, needs: [a] }\n  - { id: c, run: x, needs: [b] }\n",
    ).diagnostics;
    expect(found?.message).toContain("a → c → b → a");
  });
});
