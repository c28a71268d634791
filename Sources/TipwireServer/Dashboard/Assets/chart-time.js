/** Times of the charts. All in one distance from UTC, that of now, and never in that of then. */

/** Of now. The server cuts days by it too, so that summer and winter never give one a day of 25 hours. */
export const offsetMinutes = -new Date().getTimezoneOffset();

// Times are moved by the offset and then written as if they were UTC: so they are the buckets' own, whatever the time
// zone does in between.
const writers = {
    hourShort: { hour: 'numeric' },
    hour: { weekday: 'short', day: 'numeric', month: 'short', hour: 'numeric' },
    dayShort: { day: 'numeric', month: 'short' },
    weekdayShort: { weekday: 'short', day: 'numeric' },
    day: { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' },
    month: { month: 'short' },
    moment: { day: 'numeric', month: 'short', year: 'numeric', hour: 'numeric', minute: '2-digit' },
};
for (const [name, options] of Object.entries(writers)) {
    writers[name] = new Intl.DateTimeFormat(undefined, { ...options, timeZone: 'UTC' });
}

export function written(style, time) {
    return writers[style].format(new Date(new Date(time).getTime() + offsetMinutes * 60_000));
}

export function local(time) {
    const sign = offsetMinutes < 0 ? '-' : '+';
    const minutes = Math.abs(offsetMinutes);
    const two = number => String(number).padStart(2, '0');
    const moved = new Date(new Date(time).getTime() + offsetMinutes * 60_000).toISOString().slice(0, 19);
    return `${moved}${sign}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

export function zoneName() {
    const minutes = Math.abs(offsetMinutes);
    if (!minutes) return 'UTC';
    const rest = minutes % 60 ? `:${String(minutes % 60).padStart(2, '0')}` : '';
    return `UTC${offsetMinutes < 0 ? '−' : '+'}${Math.floor(minutes / 60)}${rest}`;
}
