// Calendar fields of a time in a named zone. The CEL library computes them through the process's own zone, which would make
// results depend on the machine.
import { formatOf } from "../schedule/zone.ts";

type Fields = { year: number; month: number; day: number; hour: number; minute: number; second: number };

function fieldsOf(at: Date, timeZone: string): Fields {
  const found = new Map(
    formatOf(timeZone)
      .formatToParts(at)
      .map((part) => [part.type, part.value]),
  );
  const number = (type: Intl.DateTimeFormatPartTypes): number => Number(found.get(type) ?? 0);
  return {
    year: number("year"),
    month: number("month"),
    day: number("day"),
    hour: number("hour"),
    minute: number("minute"),
    second: number("second"),
  };
}

function dayNumber(fields: Fields): number {
  return Date.UTC(fields.year, fields.month - 1, fields.day) / 86_400_000;
}

/** CEL's time methods; days of the month and of the year count from 0, months too, as in the CEL definition. */
export const timeFields: Record<string, (at: Date, timeZone: string) => number> = {
  getFullYear: (at, zone) => fieldsOf(at, zone).year,
  getMonth: (at, zone) => fieldsOf(at, zone).month - 1,
  getDate: (at, zone) => fieldsOf(at, zone).day,
  getDayOfMonth: (at, zone) => fieldsOf(at, zone).day - 1,
  getDayOfWeek: (at, zone) => (dayNumber(fieldsOf(at, zone)) + 4) % 7,
  getDayOfYear: (at, zone) => {
    const fields = fieldsOf(at, zone);
    return dayNumber(fields) - Date.UTC(fields.year, 0, 1) / 86_400_000;
  },
  getHours: (at, zone) => fieldsOf(at, zone).hour,
  getMinutes: (at, zone) => fieldsOf(at, zone).minute,
  getSeconds: (at, zone) => fieldsOf(at, zone).second,
  getMilliseconds: (at) => at.getUTCMilliseconds(),
};
