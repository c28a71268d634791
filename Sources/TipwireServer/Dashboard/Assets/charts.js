/** What came in over time, from whom, and which goals it reached. Draws what `GET stats` counts (plot.js). */
import { call, Refusal } from './api.js';
import { local, offsetMinutes, written, zoneName } from './chart-time.js';
import { downloadCSV } from './csv.js';
import { at, copyOf } from './document.js';
import { decimal, formatted } from './money.js';
import { columns, rows } from './plot.js';
import { complain, shell } from './shell.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
// Often enough to be called up to date, seldom enough to cost the server nothing.
const REFRESH_MS = 60_000;
// Ranges of time, and the bars that make sense in each, the best first: fewer than a handful say nothing, and more than
// a few hundred are no bars any more.
const RANGES = {
    '24h': { span: DAY, name: '24 hours', buckets: ['hour'] },
    '7d': { span: 7 * DAY, name: '7 days', buckets: ['day', 'hour'] },
    '30d': { span: 30 * DAY, name: '30 days', buckets: ['day', 'week'] },
    '90d': { span: 90 * DAY, name: '90 days', buckets: ['week', 'day'] },
    '1y': { span: 365 * DAY, name: '1 year', buckets: ['week', 'day'] },
};
const LENGTHS = { hour: HOUR, day: DAY, week: WEEK };
const HISTORY_SHOWN = 8;

const { page } = await shell();

const form = at('choices');
const choice = choiceFromAddress();
let shown = null;
let plots = [];

// MARK: What is chosen

/** It stands in the address, so that a reload, a bookmark or a change of page keeps it. */
function choiceFromAddress() {
    const query = new URLSearchParams(location.search);
    const range = Object.hasOwn(RANGES, query.get('range')) ? query.get('range') : '30d';
    const measure = query.get('measure') === 'tips' ? 'tips' : 'amount';
    return { range, ...fitting(range, query.get('bucket')), measure };
}

function fitting(range, bucket) {
    const { buckets } = RANGES[range];
    return { bucket: buckets.includes(bucket) ? bucket : buckets[0] };
}

function choose(changes) {
    Object.assign(choice, changes);
    Object.assign(choice, fitting(choice.range, choice.bucket));
    history.replaceState(null, '', `?${new URLSearchParams(choice)}${location.hash}`);
    showChoice();
}

function showChoice() {
    for (const name of ['range', 'bucket', 'measure']) form.elements[name].value = choice[name];
    for (const radio of form.elements.bucket) radio.disabled = !RANGES[choice.range].buckets.includes(radio.value);
}

/** From the beginning of an hour, day or week, up to the end of the one we are in. */
function span() {
    const length = LENGTHS[choice.bucket];
    const offset = offsetMinutes * 60_000;
    // The epoch was a Thursday; weeks begin on Monday.
    const shift = offset - (choice.bucket === 'week' ? 4 * DAY : 0);
    const current = Math.floor((Date.now() + shift) / length) * length - shift;
    const count = Math.ceil(RANGES[choice.range].span / length);
    return { from: new Date(current - (count - 1) * length), to: new Date(current + length) };
}

// MARK: Reading

let reading = null;
let refreshTimer = 0;

async function read() {
    reading?.abort();
    clearTimeout(refreshTimer);
    const { signal } = reading = new AbortController();
    const { from, to } = span();
    const query = new URLSearchParams({
        from: from.toISOString(), to: to.toISOString(), bucket: choice.bucket, utcOffsetMinutes: offsetMinutes,
    });
    at('charts').ariaBusy = 'true';
    try {
        const stats = await call('GET', `pages/${page.slug}/stats?${query}`, { signal });
        signal.throwIfAborted();
        complain('');
        take(stats);
    } catch (error) {
        if (signal.aborted) return;
        at('charts').ariaBusy = 'false';
        if (error instanceof Refusal && error.isFinal) return complain(error.message);
        const reason = error instanceof Refusal ? error.message : 'The server can’t be reached.';
        complain(`${reason} Trying again in a minute.`);
    }
    at('charts').ariaBusy = 'false';
    refreshTimer = setTimeout(() => { if (!document.hidden) read(); }, REFRESH_MS);
}

function take(stats) {
    const text = JSON.stringify([stats, choice]);
    // Drawing the same again would only take the focus and the pointer's bubble away.
    if (shown?.text === text) return;
    shown = { text, stats };
    draw();
}

// MARK: Words

const whole = new Intl.NumberFormat();

function bucketName(time) {
    if (choice.bucket === 'week') return `Week of ${written('day', time)}`;
    return written(choice.bucket, time);
}

/** What stands below a bar. Of many bars only those have a name that begin something: a day, a week, a month. */
function bucketShort(time) {
    const moved = new Date(new Date(time).getTime() + offsetMinutes * 60_000);
    const { range, bucket } = choice;
    if (bucket === 'hour' && range === '24h') return written('hourShort', time);
    if (bucket === 'hour') return moved.getUTCHours() === 0 ? written('weekdayShort', time) : '';
    if (range === '7d') return written('weekdayShort', time);
    if (range === '90d' && bucket === 'day') return moved.getUTCDay() === 1 ? written('dayShort', time) : '';
    if (range !== '1y') return written('dayShort', time);
    return moved.getUTCDate() <= (bucket === 'week' ? 7 : 1) ? written('month', time) : '';
}

const money = amount => formatted(amount, page.currency);
const tipsCount = count => `${whole.format(count)} ${count === 1 ? 'tip' : 'tips'}`;
const supporterName = ({ displayName }) => displayName || 'Anonymous';

/** An amount in as few characters as an axis or the top of a bar has room for. */
const compact = (() => {
    const digits = decimal(0, page?.currency ?? 'USD').split('.')[1]?.length ?? 0;
    const options = { style: 'currency', currency: page?.currency ?? 'USD', currencyDisplay: 'narrowSymbol' };
    const short = new Intl.NumberFormat(undefined, {
        ...options, notation: 'compact', minimumFractionDigits: 0, maximumFractionDigits: 1,
    });
    const small = new Intl.NumberFormat(undefined, {
        ...options, minimumFractionDigits: digits, maximumFractionDigits: digits, trailingZeroDisplay: 'stripIfInteger',
    });
    // Only what is drawn goes through a floating-point number, never what is exported or listed.
    return amount => {
        const value = amount / 10 ** digits;
        return (value >= 1000 ? short : small).format(value);
    };
})();

// MARK: Drawing

function draw() {
    const { stats } = shown;
    const isEmpty = stats.total.tips === 0;
    for (const plot of plots) plot.stop();
    plots = [];
    at('charts').hidden = false;
    at('figures').hidden = isEmpty;
    at('over-time').hidden = isEmpty;
    at('top').hidden = isEmpty;
    at('history').hidden = isEmpty && stats.goals.length === 0;
    at('fine-print').hidden = isEmpty;
    at('span').textContent = `${page.title} · ${written('day', stats.from)} to now · ${zoneName()}`;
    at('said').textContent = `${RANGES[choice.range].name}: ${tipsCount(stats.total.tips)}, `
        + `${money(stats.total.grossAmountInCents)}`;
    drawEmpty(isEmpty);
    drawHistory(stats);
    if (isEmpty) return;
    drawFigures(stats);
    drawTime(stats);
    drawTop(stats);
    at('fine-print').textContent = `Refunded tips are left out. Days begin at midnight, ${zoneName()}. `
        + 'Goals are known as far back as the log is kept.';
}

function drawEmpty(isEmpty) {
    at('empty').hidden = !isEmpty;
    const isWidest = choice.range === '1y';
    at('empty-title').textContent = isWidest ? 'No tips in the last year'
        : `No tips in the last ${RANGES[choice.range].name}`;
    at('empty-text').textContent = isWidest
        ? 'As soon as the first tip comes in, the charts begin here. One sent by hand shows how it will look.'
        : 'Look at a longer time, or send a tip by hand to see how it will look.';
    at('widen').hidden = isWidest;
}

function drawFigures({ total, goals }) {
    const fees = total.grossAmountInCents - total.netAmountInCents;
    const figures = [
        ['Given', money(total.grossAmountInCents)],
        ...fees ? [['After fees', money(total.netAmountInCents)]] : [],
        ['Tips', whole.format(total.tips)],
        ['Average tip', money(Math.round(total.grossAmountInCents / total.tips))],
        ['Goals reached', whole.format(goals.length)],
    ];
    at('figures').replaceChildren(...figures.map(([name, value]) => {
        const figure = document.createElement('div');
        const term = document.createElement('dt');
        const definition = document.createElement('dd');
        term.textContent = name;
        definition.textContent = value;
        figure.append(term, definition);
        return figure;
    }));
}

function goalsIn(stats, from) {
    const start = new Date(from).getTime();
    const end = start + LENGTHS[choice.bucket];
    return stats.goals.filter(({ completedAt }) => {
        const time = new Date(completedAt).getTime();
        return time >= start && time < end;
    });
}

function drawTime(stats) {
    const showsAmount = choice.measure === 'amount';
    const now = Date.now();
    const reached = stats.data.map(bucket => goalsIn(stats, bucket.from));
    const bars = stats.data.map((bucket, index) => {
        const { from, tips, grossAmountInCents: gross, netAmountInCents: net } = bucket;
        const isOpen = new Date(from).getTime() + LENGTHS[choice.bucket] > now;
        const goals = reached[index].map(goal => `Goal reached: ${goal.description}`);
        const what = tips ? `${money(gross)}, ${tipsCount(tips)}` : 'no tips';
        return {
            value: showsAmount ? gross : tips,
            part: showsAmount ? gross - net : 0,
            label: [`${bucketName(from)}${isOpen ? ', so far' : ''}: ${what}`, ...goals].join('. '),
            short: bucketShort(from),
            note: showsAmount ? compact(gross) : whole.format(tips),
            mark: goals.length > 0,
            isOpen,
        };
    });
    drawLegend({
        hasFees: bars.some(bar => bar.part > 0), hasGoals: bars.some(bar => bar.mark),
        isOpen: bars.some(bar => bar.isOpen && bar.value > 0),
    });
    at('over-time-title').textContent = `${showsAmount ? 'Amount' : 'Tips'} per ${choice.bucket}`;
    plots.push(columns(at('plot-time'), {
        bars, axis: showsAmount ? compact : value => whole.format(value), title: at('over-time-title').textContent,
    }));
    fillTable('time', ['From', 'Tips', 'Given', 'After fees'], stats.data.map(bucket => [
        bucketName(bucket.from), whole.format(bucket.tips),
        money(bucket.grossAmountInCents), money(bucket.netAmountInCents),
    ]));
    const { total } = stats;
    at('time-total').replaceChildren(tableRow(['Together', whole.format(total.tips),
        money(total.grossAmountInCents), money(total.netAmountInCents)]));
}

function drawLegend({ hasFees, hasGoals, isOpen }) {
    const entries = [];
    if (hasFees) entries.push(['is-solid', 'After fees'], ['is-striped', 'Fees']);
    if (isOpen) entries.push(['is-open', `${choice.bucket === 'day' ? 'Today' : `This ${choice.bucket}`}, so far`]);
    if (hasGoals) entries.push(['is-flag', 'Goal reached']);
    at('legend').hidden = entries.length === 0;
    at('legend').replaceChildren(...entries.map(([look, name]) => {
        const entry = document.createElement('li');
        entry.className = look;
        entry.textContent = name;
        return entry;
    }));
}

function drawTop({ supporters }) {
    plots.push(rows(at('plot-top'), {
        title: 'Top supporters',
        bars: supporters.map((supporter, index) => {
            const name = supporterName(supporter);
            const amount = money(supporter.grossAmountInCents);
            return {
                value: supporter.grossAmountInCents, name, isMuted: !supporter.displayName,
                note: `${amount} · ${tipsCount(supporter.tips)}`,
                label: `${index + 1}. ${name}: ${amount}, ${tipsCount(supporter.tips)}`,
            };
        }),
    }));
    fillTable('top', ['Name', 'Tips', 'Given'], supporters.map(supporter => [
        supporterName(supporter), whole.format(supporter.tips), money(supporter.grossAmountInCents),
    ]));
}

function drawHistory({ goals }) {
    at('history-none').hidden = goals.length > 0;
    at('history-table').hidden = goals.length === 0;
    document.querySelector('[data-export="goals"]').hidden = goals.length === 0;
    // The newest; the table has all.
    at('history-list').replaceChildren(...goals.slice(0, HISTORY_SHOWN).map(goal => {
        const item = copyOf('history-item');
        item.querySelector('.history-name').textContent = goal.description;
        item.querySelector('.history-amount').textContent = money(goal.amountInCents);
        const time = item.querySelector('time');
        time.dateTime = goal.completedAt;
        time.textContent = written('moment', goal.completedAt);
        return item;
    }));
    at('history-table').firstElementChild.textContent = goals.length > HISTORY_SHOWN
        ? `All ${goals.length} as a table` : 'As a table';
    fillTable('history', ['Goal', 'Amount', 'Reached'], goals.map(goal => [
        goal.description, money(goal.amountInCents), written('moment', goal.completedAt),
    ]));
}

function fillTable(name, header, lines) {
    at(`${name}-header`).replaceChildren(...header.map(title => tableCell('th', title, 'col')));
    at(`${name}-rows`).replaceChildren(...lines.map(tableRow));
}

function tableRow(cells) {
    const row = document.createElement('tr');
    row.append(...cells.map((content, index) => tableCell(index ? 'td' : 'th', content, 'row')));
    return row;
}

function tableCell(kind, content, scope) {
    const made = document.createElement(kind);
    if (kind === 'th') made.scope = scope;
    made.textContent = content;
    return made;
}

// MARK: Export

const sheets = {
    time: ({ data }) => ({
        header: ['from', 'tips', `gross (${page.currency})`, `net (${page.currency})`],
        lines: data.map(({ from, tips, grossAmountInCents, netAmountInCents }) => [
            local(from), tips, decimal(grossAmountInCents, page.currency), decimal(netAmountInCents, page.currency),
        ]),
    }),
    supporters: ({ supporters }) => ({
        header: ['name', 'tips', `gross (${page.currency})`],
        lines: supporters.map(supporter => [
            supporterName(supporter), supporter.tips, decimal(supporter.grossAmountInCents, page.currency),
        ]),
    }),
    goals: ({ goals }) => ({
        header: ['goal', `amount (${page.currency})`, 'completed'],
        lines: goals.map(goal => [
            goal.description, decimal(goal.amountInCents, page.currency), local(goal.completedAt),
        ]),
    }),
};

function save(what) {
    const { header, lines } = sheets[what](shown.stats);
    const day = local(Date.now()).slice(0, 10);
    const cut = what === 'time' ? `${choice.range}-by-${choice.bucket}` : choice.range;
    downloadCSV(`${page.slug}-${what}-${cut}-${day}.csv`, header, lines);
}

// MARK: Beginning

function listen() {
    form.addEventListener('change', ({ target }) => {
        choose({ [target.name]: target.value });
        if (target.name === 'measure' && shown) return take(shown.stats);
        read();
    });
    form.addEventListener('submit', event => event.preventDefault());
    at('widen').addEventListener('click', () => {
        choose({ range: '1y' });
        read();
        form.querySelector('[name="range"]:checked').focus();
    });
    document.addEventListener('click', ({ target }) => {
        const button = target.closest('[data-export]');
        if (button) save(button.dataset.export);
    });
    document.addEventListener('visibilitychange', () => { if (!document.hidden) read(); });
    addEventListener('online', read);
}

if (page) {
    at('charts').hidden = false;
    at('try-link').href = `/try#/${page.slug}`;
    at('goals-link').href = `/goals#/${page.slug}`;
    at('span').textContent = page.title;
    showChoice();
    listen();
    read();
} else {
    at('no-page').hidden = false;
}
