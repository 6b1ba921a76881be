// Colours, or none: a plain style costs nothing, the coloured one loads chalk when a terminal is there.
export type Paint = (text: string) => string;
export type Style = { bold: Paint; dim: Paint; red: Paint; green: Paint; yellow: Paint; blue: Paint; cyan: Paint };

const same: Paint = (text) => text;
export const plainStyle: Style = { bold: same, dim: same, red: same, green: same, yellow: same, blue: same, cyan: same };

export type ColorQuestion = { isTty: boolean; noColorFlag: boolean; env: Readonly<Record<string, string | undefined>> };

/** Whether to colour a stream: only a terminal, and only if neither NO_COLOR, TERM=dumb nor --no-color speaks against it. */
export function hasColor({ isTty, noColorFlag, env }: ColorQuestion): boolean {
  return isTty && !noColorFlag && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}

export async function loadStyle(colored: boolean): Promise<Style> {
  if (!colored) return plainStyle;
  const { Chalk } = await import("chalk");
  const chalk = new Chalk({ level: 1 });
  return { bold: chalk.bold, dim: chalk.dim, red: chalk.red, green: chalk.green, yellow: chalk.yellow, blue: chalk.blue, cyan: chalk.cyan };
}

const stateColors: Record<string, keyof Style> = {
  SUCCESS: "green",
  FAILED: "red",
  CANCELLED: "yellow",
  RUNNING: "cyan",
  WAITING: "blue",
  PENDING: "dim",
  SKIPPED: "dim",
};

/** A state in its colour. */
export function paintState(style: Style, state: string, text = state): string {
  return style[stateColors[state] ?? "bold"](text);
}
