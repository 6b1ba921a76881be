// The files that `plugin init` writes, one set for each language. Each greets, so that a test of it has something to expect.

export const languages = ["ts", "python", "sh"] as const;
export type Language = (typeof languages)[number];
export type SkeletonFile = { path: string; text: string; isProgram: boolean };
type Name = { namespace: string; name: string };

export function skeletonOf(language: Language, name: Name): SkeletonFile[] {
  const { entry, text, head } = sources[language];
  return [
    { path: "plugin.yaml", text: manifestOf(name, head), isProgram: false },
    { path: entry, text, isProgram: language !== "ts" },
    { path: "tests/greet.yaml", text: testText, isProgram: false },
  ];
}

function manifestOf({ namespace, name }: Name, head: string): string {
  return `namespace: ${namespace}
name: ${name}
version: 0.1.0
description: Says hello
${head}
engines: { workflow: ">=0.1.0" }
actions:
  - name: greet
    description: Greets someone by name.
    idempotent: true
    timeout: 30s
    input:
      type: object
      properties: { name: { type: string } }
      required: [name]
      additionalProperties: false
    output:
      type: object
      properties: { greeting: { type: string } }
      required: [greeting]
`;
}

const testText = `name: greets by name
action: greet
input: { name: Ada }
expect:
  output: { greeting: "Hello, Ada!" }
`;

const noPermissions = "permissions: {}                # the most it may ever ask for: network, filesystem, env, run, …";

const sources: Record<Language, { entry: string; text: string; head: string }> = {
  ts: {
    entry: "main.ts",
    head: `runtime: bun\nentrypoint: main.ts\n${noPermissions}`,
    text: `import { definePlugin } from "autokestra/sdk";

export default definePlugin({
  actions: {
    greet: async (input, ctx) => {
      ctx.log.info("greeting", { name: input.name });
      return { greeting: \`Hello, \${String(input.name)}!\` };
    },
  },
});
`,
  },
  python: {
    entry: "main.py",
    head: `runtime: exec\nentrypoint: ["python3", "main.py"]\n${noPermissions}`,
    text: `#!/usr/bin/env python3
"""One call: a JSON line comes in on stdin, one goes out on descriptor 3. stdout and stderr are the log."""
import json
import sys
from os import fdopen

call = json.loads(sys.stdin.readline())
action = call["action"].rsplit(".", 1)[-1]
inputs = call["input"]

if action == "greet":
    print("greeting " + inputs["name"])
    result = {"output": {"greeting": "Hello, " + inputs["name"] + "!"}}
else:
    result = {"error": {"code": "UNKNOWN_ACTION", "message": "There is no action " + action}}

with fdopen(3, "w") as out:
    out.write(json.dumps(result) + "\\n")
sys.exit(1 if "error" in result else 0)
`,
  },
  sh: {
    entry: "main.sh",
    // sed is another program.
    head: `runtime: exec\nentrypoint: ["sh", "main.sh"]\npermissions:\n  run: true                    # may start other programs, which may do no more than it`,
    text: `#!/bin/sh
# One call: a JSON line comes in on stdin, one goes into the file $WORKFLOW_RESULT. stdout and stderr are the log.
set -eu
IFS= read -r call
# Enough for a plain text; a plugin that takes more is better off with python3 or jq.
name=$(printf '%s' "$call" | sed -n 's/.*"input":{"name":"\\([^"\\\\]*\\)".*/\\1/p')
echo "greeting $name"
printf '{"output":{"greeting":"Hello, %s!"}}\\n' "$name" > "$WORKFLOW_RESULT"
`,
  },
};
