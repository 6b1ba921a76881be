// PostgreSQL is named by the documents but not there yet: whoever asks for it is told so plainly.

/** Why `storage.type` cannot be this; null when it does not ask for PostgreSQL. */
export function postgresProblem(type: unknown): string | null {
  if (typeof type !== "string" || !/^postgres(ql)?$/i.test(type)) return null;
  return `Cannot use storage.type "${type}": this version stores in SQLite only`;
}
