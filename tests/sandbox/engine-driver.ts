// Stands for an engine that is killed: starts a task with escapes of every kind, prints the supervisor's pid and waits.

import { spawnProcess } from "../../src/plugins/runtimes/index.ts";
import { confine } from "./confined.ts";

const [, , mark = "", level = "off"] = process.argv;
const script = `
  trap '' TERM HUP
  sleep 600 &
  (nohup setsid sleep 600 || nohup sleep 600) > /dev/null 2>&1 &
  ((setsid sh -c 'sleep 600 & sleep 600' || sh -c 'sleep 600 & sleep 600') &)
  echo ready
  wait
`;
const task = spawnProcess({
  argv: ["sh", "-c", script],
  env: { PATH: "/usr/bin:/bin", TASK_MARK: mark },
  cwd: "/",
  stdin: null,
  graceMs: 1000,
  resultBytesMax: 1024,
  confinement: level === "strict" ? confine() : null,
});
await task.stdout.next();
console.log(task.pid);
await task.exited;
