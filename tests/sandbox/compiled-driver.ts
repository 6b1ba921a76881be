// Compiled by interpreters.test.ts: runs a bun script as a task and one program that is not there, and prints the ends.

import { commandFor } from "../../src/plugins/runtimes/index.ts";
import { finish, startTask } from "./task-tree.ts";

const [, , script = "", cwd = ""] = process.argv;
const { argv, env } = commandFor("bun", script);
const { stdout, exit } = await finish(startTask(argv, { env, cwd }));
const failed = await startTask(["no-such-program"]).exited.catch((error: { code: string }) => error.code);
console.log(JSON.stringify({ runtime: argv[0], stdout, exit, failed }));
