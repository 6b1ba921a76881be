// One finding of `workflow doctor`, as people and programs get it.
import { toErrorBody } from "../../base/index.ts";

export type Check = {
  id: string;
  status: "ok" | "warn" | "fail";
  message: string;
  /** What to do. */
  hint: string | null;
};

export function passed(id: string, message: string): Check {
  return { id, status: "ok", message, hint: null };
}

export function warned(id: string, message: string, hint: string | null): Check {
  return { id, status: "warn", message, hint };
}

export function failed(id: string, message: string, hint: string | null): Check {
  return { id, status: "fail", message, hint };
}

/** A check that something thrown ended. */
export function failedBy(id: string, thrown: unknown): Check {
  const { message, hint = null } = toErrorBody(thrown);
  return failed(id, message, hint);
}
