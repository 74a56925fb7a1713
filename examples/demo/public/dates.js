/** Days as `<input type="date">` has them, such as "2026-11-28", in the user's time zone. */
const dayOfTime = (time) => time.toLocaleDateString("sv"); // Sweden writes days like that.

export const today = () => dayOfTime(new Date());
export const tomorrow = () => dayOfTime(new Date(Date.parse(`${today()}T12:00`) + 86_400_000));

/** The day of a due date, which other clients may have set to a local time or to an instant. */
export const dayOf = (due) => (due.endsWith("Z") ? dayOfTime(new Date(due)) : due.slice(0, 10));

/** A due date such as "Tomorrow", "5 Dec" or "Friday 09:30". */
export function inWords(due) {
  const time = due.includes("T") && new Date(due).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return time ? `${dayInWords(dayOf(due))} ${time}` : dayInWords(dayOf(due));
}

function dayInWords(day) {
  const days = (Date.parse(day) - Date.parse(today())) / 86_400_000;
  const near = { "-1": "Yesterday", 0: "Today", 1: "Tomorrow" }[days];
  if (near) return near;
  if (days > 0 && days < 7) return format(day, { weekday: "long" });
  const year = day.slice(0, 4) === today().slice(0, 4) ? undefined : "numeric";
  return format(day, { day: "numeric", month: "short", year });
}

export const longDay = (day) => format(day, { weekday: "long", day: "numeric", month: "long" });

function format(day, options) {
  return new Date(`${day}T12:00`).toLocaleDateString("en-GB", options);
}
