// The one place that reads the process's environment; everything else is given what this returns.

export type Environment = Record<string, string | undefined>;

/** A copy of the environment. */
export function environment(): Environment {
  return { ...process.env };
}

/** A variable's value; null when it is absent or empty. */
export function variable(env: Environment, name: string): string | null {
  const value = env[name];
  return value === undefined || value === "" ? null : value;
}
