// States and who may act: the pure parts of the model.
import { describe, expect, test } from "bun:test";
import {
  actorOf,
  canMove,
  executionStates,
  hasScope,
  isRole,
  isScope,
  isTerminal,
  principalText,
  roles,
  scopes,
  scopesOf,
  taskStates,
} from "../../../src/model/index.ts";

describe("[CRA-0.28] states", () => {
  test("terminal ones never change, and every other can end", () => {
    for (const from of taskStates) {
      const targets = taskStates.filter((to) => canMove(from, to));
      expect(isTerminal(from)).toBe(targets.length === 0);
      expect(targets).not.toContain(from);
      if (!isTerminal(from)) for (const end of ["SUCCESS", "FAILED", "CANCELLED"] as const) expect(targets).toContain(end);
    }
    expect(taskStates.filter(isTerminal)).toEqual(["SUCCESS", "FAILED", "CANCELLED", "SKIPPED"]);
    expect(executionStates as readonly string[]).not.toContain("SKIPPED");
  });

  test("nothing that ran is skipped", () => {
    expect(taskStates.filter((from) => canMove(from, "SKIPPED"))).toEqual(["PENDING"]);
  });
});

describe("[CRA-0.28] scopes and roles", () => {
  test("roles give known scopes only, and admin contains all", () => {
    for (const given of Object.values(roles)) for (const scope of given) expect(isScope(scope)).toBe(true);
    for (const scope of scopes) {
      expect(hasScope(new Set(["admin"]), scope)).toBe(true);
      expect(hasScope(scopesOf(["viewer"], []), scope)).toBe((roles.viewer as readonly string[]).includes(scope));
    }
    expect(hasScope(new Set(["trace:read"]), "admin")).toBe(false);
  });

  test("unknown names give nothing", () => {
    expect([...scopesOf(["root", "constructor"], ["everything"])]).toEqual([]);
    expect([isRole("constructor"), isRole("viewer"), isScope("x")]).toEqual([false, true, false]);
    expect([...scopesOf(["auditor"], ["workflow:run"])].toSorted()).toEqual([...roles.auditor, "workflow:run" as const].toSorted());
  });

  test("principals act as the actor of their kind", () => {
    const actor = (type: "user" | "agent" | "service") => actorOf({ type, id: "x" }).type;
    expect([actor("user"), actor("agent"), actor("service")]).toEqual(["user", "agent", "runtime"]);
    expect(principalText({ type: "user", id: "alice" })).toBe("user:alice");
  });
});
