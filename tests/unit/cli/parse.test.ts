// The command line: what is understood, and what is said about what is not.
import { describe, expect, test } from "bun:test";
import { command, either, flag, list, one, some, text } from "../../../src/cli/command.ts";
import { findCommand } from "../../../src/cli/find-command.ts";
import { parseCommand, usageLine } from "../../../src/cli/parse.ts";
import { commandSpecs } from "../../../src/cli/registry.ts";
import { suggest } from "../../../src/cli/suggest.ts";

const spec = command({
  path: "thing do",
  group: "Things",
  about: "Do",
  args: { target: one("TARGET") },
  options: {
    force: flag("--force", "f"),
    name: text("-n,--name", "N", "n"),
    input: list("-i,--input", "K=V", "i"),
    learn: either("--learn", "FILE", "l"),
  },
  examples: [["x", "thing do a"]],
  load: async () => async () => {},
});

describe("parse", () => {
  test("gives every option a value", () => {
    expect(parseCommand(spec, ["a"], "workflow").values).toEqual({ target: "a", force: false, name: null, input: [], learn: false });
    const { common, values } = parseCommand(spec, ["--data", "d", "--input", "a=1", "-i", "b=-2", "--name=-x", "a", "--json", "--force"], "workflow");
    expect(values).toEqual({ target: "a", force: true, name: "-x", input: ["a=1", "b=-2"], learn: false });
    expect(common).toMatchObject({ data: "d", json: true, quiet: false, server: null });
  });

  test("takes a switch that may carry a value both ways, and its value only behind =", () => {
    expect(parseCommand(spec, ["a", "--learn"], "workflow").values).toMatchObject({ target: "a", learn: true });
    expect(parseCommand(spec, ["--learn=f", "a"], "workflow").values).toMatchObject({ target: "a", learn: "f" });
    expect(parseCommand(spec, ["--learn", "a"], "workflow").values).toMatchObject({ target: "a", learn: true });
  });

  test("takes what comes after -- as it is", () => {
    expect(parseCommand(spec, ["--", "--json"], "workflow")).toMatchObject({ values: { target: "--json" }, common: { json: false } });
  });

  test.each([
    [["a", "--forse"], /unknown option "--forse"/, /--force/],
    [[], /missing argument TARGET/, /thing do TARGET/],
    [["a", "b"], /unexpected argument "b"/, /Usage/],
    [["a", "--name"], /option --name needs a value/, /Usage/],
    [["a", "--force=yes"], /option --force takes no value/, /Usage/],
  ])("refuses %j", (argv, message, hint) => {
    const parse = () => parseCommand(spec, argv, "workflow");
    expect(parse).toThrow(message);
    expect(parse).toThrow(expect.objectContaining({ code: "USAGE", hint: expect.stringMatching(hint) }));
  });

  test("says its usage", () => {
    expect(usageLine(spec, "cra")).toBe("cra thing do TARGET [--force] [--name N] [--input K=V]… [--learn[=FILE]]");
    expect(usageLine({ ...spec, path: "x", options: {}, args: { files: some("FILE") } }, "workflow")).toBe("workflow x FILE…");
  });
});

describe("find", () => {
  test("takes the longest path, with options before it or not", () => {
    expect(findCommand(["--data", "run", "execution", "list", "x"], "workflow")).toMatchObject({ kind: "command", spec: { path: "execution list" } });
    expect(findCommand(["workflow", "apply", "x"], "workflow")).toMatchObject({ spec: { path: "apply" } });
    expect(findCommand(["execution"], "workflow")).toMatchObject({ kind: "help", word: "execution" });
    expect(findCommand(["help", "run"], "workflow")).toMatchObject({ kind: "help", spec: { path: "run" } });
  });

  test.each([
    [["rnu", "x"], /Did you mean "workflow run"/],
    [["execution", "lst"], /Did you mean "workflow execution list"/],
    [["execution", "zzzzzz"], /workflow execution --help/],
    [["--josn"], /Did you mean --json/],
  ])("suggests for %j", (argv, hint) => {
    expect(() => findCommand(argv, "workflow")).toThrow(expect.objectContaining({ code: "USAGE", hint: expect.stringMatching(hint) }));
  });

  test("suggests nothing far away", () => {
    expect(suggest("qqqq", ["run", "list"])).toBeNull();
  });
});

describe("registry", () => {
  test("every command has an example that begins with its path, and no path twice", () => {
    const paths = commandSpecs.flatMap((one) => [one.path, ...one.aliases]);
    expect(new Set(paths).size).toBe(paths.length);
    for (const one of commandSpecs) for (const [, line] of one.examples) expect([one.path, line.startsWith(one.path)]).toEqual([one.path, true]);
  });

  test("every example parses", () => {
    for (const one of commandSpecs.filter((candidate) => candidate.load !== null)) {
      for (const [, line] of one.examples) {
        const words = (line.split(/ [<>] /)[0] ?? "").split(" ");
        expect(() => parseCommand(one, words.slice(one.path.split(" ").length), "workflow")).not.toThrow();
      }
    }
  });
});
