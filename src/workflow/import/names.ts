// Ids for the result: made of the source's names, valid and unique.

/** Lower-case words with hyphens, at most `max` long; "" where nothing of the text can stand in an id. */
export function slug(text: string, max = 63): string {
  const plain = text
    .slice(0, 1000)
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, "-")
    .replace(/^[-_]+|-+$/g, "");
  return plain.slice(0, max).replace(/-+$/, "");
}

/** A workflow's id; `fallback` where the text gives none. */
export function workflowId(text: string, fallback: string): string {
  return slug(text) || slug(fallback) || "imported";
}

/** A task's id: a valid one stays as it is. */
export function taskId(text: string, fallback: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_-]{0,127}$/.test(text) && text !== "__proto__") return text;
  const made = slug(text, 100);
  if (made === "") return fallback;
  return /^[a-z_]/.test(made) ? made : `t-${made}`;
}

/** An input's id from the name of a variable. */
export function inputId(text: string): string {
  const made = text.replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, 128);
  return /^[A-Za-z_]/.test(made) && made !== "__proto__" ? made : `_${made}`.slice(0, 128);
}

/** Hands out names once: the second `a` is `a-2`. */
export function createNames(): (wanted: string) => string {
  const used = new Set<string>();
  return (wanted) => {
    let name = wanted;
    for (let count = 2; used.has(name); count++) {
      const end = `-${count}`;
      name = `${wanted.slice(0, 63 - end.length)}${end}`;
    }
    used.add(name);
    return name;
  };
}

export const isVariableName = (text: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(text) && text !== "__proto__";

/** Whether a variable's name says that its value is a secret. */
export function looksSecret(name: string): boolean {
  return /(?:^|_)(?:PASS(?:WORD|WD|PHRASE)?|PWD|SECRET|TOKEN|CREDENTIALS?|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)(?:$|_)|PASSWORD|PASSWD|APIKEY|PGPASS/i.test(
    name,
  );
}
