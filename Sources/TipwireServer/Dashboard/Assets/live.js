/** The dashboard's first view: tips as they come. Wires what knows (watch.js, trail.js) to what shows (roll.js). */
import { Alerts } from './alerts.js';
import { announce } from './announce.js';
import { call, Refusal } from './api.js';
import { countConnections, drawCommands } from './connect.js';
import { downloadCSV } from './csv.js';
import { Details, RefundQuestion } from './details.js';
import { at, copyOf, reconcile } from './document.js';
import { FirstSteps } from './first.js';
import { amountProblem, decimal, minorUnits, tipAmount } from './money.js';
import { PageForm } from './page-form.js';
import { ReceiptWatch } from './receipts.js';
import { Roll } from './roll.js';
import { amountOf, nameOf } from './row.js';
import { complain, doing, remember, shell } from './shell.js';
import { Trail } from './trail.js';
import { PageWatch } from './watch.js';

// Each page under watch holds a WebSocket, and a browser has some 200 of them for all its tabs.
const WATCH_LIMIT = 20;
// Draw at most this often: a page may get thousands of tips a second.
const DRAW_MS = 60;
const AGE_MS = 15_000;
const FIRST_COUNT_MS = 2_000;
// Between two letters of someone who types; each search reads the whole page's tips.
const FILTER_MS = 250;

// Opened by a one-time link: its code is spent, and has no place in the history.
if (location.pathname !== '/') history.replaceState(null, '', '/' + location.hash);

const forms = { tip: at('test-tip'), filter: at('filter') };
const { session, page: firstPage, pages: knownPages, isHeard } = await shell();

let pages = [];
let selected = firstPage?.slug ?? null;
/** Slug → PageWatch, the one looked at last at the end. */
const watches = new Map();
/** What the log says of the selected page's tips. */
let trail = null;
/** Tips that came while the tab was hidden. */
let missed = 0;

const roll = new Roll({
    open: tip => details.open(selected, tip, () => goalsOf(tip.id)),
    replay, refund,
    complain: error => {
        complain(error instanceof Refusal ? error.message : 'Older tips didn’t come: the server can’t be reached.');
    },
});
const details = new Details({ replay, refund, known: tip => takeIn(selected, tip.id, tip) });
const refundQuestion = new RefundQuestion();
const alerts = new Alerts({ changed: drawSoon });
const receipts = new ReceiptWatch(
    () => (alerts.hasScreens && selected ? { slug: selected, tips: roll.near } : null),
    (slug, id, receipts) => takeIn(slug, id, { receipts }));
const pageForm = new PageForm({
    changed: () => draw(),
    made: async page => {
        history.pushState(null, '', `#/${page.slug}`);
        first.madePage(page);
        await refreshPages();
    },
});
const first = new FirstSteps(session, knownPages, { changed: drawSoon });

// MARK: Pages

async function refreshPages() {
    const { data } = await call('GET', 'pages?limit=1000');
    takePages(data);
}

function takePages(data) {
    pages = data;
    const slugs = new Set(pages.map(page => page.slug));
    for (const slug of [...watches.keys()]) if (!slugs.has(slug)) unwatch(slug);
    for (const page of pages) watches.get(page.slug)?.update(page, isHeard(page));
    for (const page of pages.filter(isHeard)) if (watches.size < WATCH_LIMIT) watch(page);
    select(slugFromAddress());
}

let recheck = null;

/** Looks again, where something may have changed behind our back. Once for all the feeds that fail together. */
function recheckPages() {
    recheck ??= refreshPages()
        .catch(error => {
            // With no answer at all there is nothing to do: the feeds are on their way back, and bring us here again.
            if (error instanceof Refusal) complain(error.message);
        })
        .finally(() => { recheck = null; });
}

function watch(page) {
    if (watches.has(page.slug)) return;
    const added = new PageWatch(page, isHeard(page), {
        changed: drawSoon, arrived, replayed, doubted: recheckPages,
        heard: watch => { if (watch.page.slug === selected) trail?.nudge(); },
    });
    watches.set(page.slug, added);
    added.begin();
}

function unwatch(slug) {
    watches.get(slug).stop();
    watches.delete(slug);
}

function slugFromAddress() {
    const wishes = [location.hash.replace(/^#\//, ''), selected, pages[0]?.slug];
    return wishes.find(slug => pages.some(page => page.slug === slug)) ?? null;
}

let isFollowed = null;

function select(slug) {
    const isOther = slug !== isFollowed;
    if (isOther) {
        // A filter was for the page it was made on.
        watches.get(isFollowed)?.find(null);
        selected = isFollowed = slug;
        forms.filter.reset();
        filterAnswer('');
        forms.tip.querySelector('.answer').textContent = '';
        trail?.stop();
        trail = slug && new Trail(slug, { changed: drawSoon, refunded: tip => takeIn(slug, tip.id, tip) });
        // What no feed keeps true is read anew.
        const known = watches.get(slug);
        if (known && !known.isHeard) known.begin();
        if (slug) remember(slug);
        alerts.show(slug);
    }
    if (slug) touch(slug);
    draw();
    if (isOther) pageItems.get(slug)?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

/** Puts the page under watch, and the one that was longest out of sight out of it when there are too many. */
function touch(slug) {
    const kept = watches.get(slug);
    watches.delete(slug);
    if (kept) watches.set(slug, kept); else watch(pages.find(page => page.slug === slug));
    if (watches.size > WATCH_LIMIT) unwatch(watches.keys().next().value);
}

// MARK: What comes in

function arrived(watch, tip, isShown) {
    if (document.hidden) missed += 1;
    const isSelected = watch.page.slug === selected;
    if (!isSelected || document.hidden) watch.unseen += 1;
    if (watch.page.slug === first.slug) first.arrived(tip);
    if (!isSelected) return;
    receipts.soon();
    if (!isShown) return;
    roll.arrived(tip);
    announce(`${amountOf(tip)} from ${nameOf(tip)}. ${tip.message}`);
}

function replayed(watch, tip) {
    if (watch.page.slug !== selected) return;
    roll.pulse(tip.id);
    receipts.replayed(tip.id);
    announce(`Replayed: ${amountOf(tip)} from ${nameOf(tip)}`);
}

/** Takes in what became known of a tip, if it is news. */
function takeIn(slug, id, { receipts, refundedAt }) {
    const watch = watches.get(slug);
    const tip = watch?.list.find(id) ?? watch?.search?.list.find(id);
    if (!tip) return;
    const isNews = (refundedAt !== undefined && refundedAt !== tip.refundedAt)
        || (receipts && JSON.stringify(receipts) !== JSON.stringify(tip.receipts));
    if (isNews) watch.change(id, { ...receipts && { receipts }, ...refundedAt !== undefined && { refundedAt } });
}

// MARK: Drawing

let drawTimer = 0;

// A timer and not an animation frame: those rest in a hidden tab, and what waits for them would pile up.
function drawSoon() {
    drawTimer ||= setTimeout(draw, DRAW_MS);
}

function draw() {
    clearTimeout(drawTimer);
    drawTimer = 0;
    const watch = watches.get(selected);
    if (watch && !document.hidden) watch.unseen = 0;
    document.title = `${missed ? `(${missed}) ` : ''}${watch?.page.title ?? 'Live'} · Tipwire`;
    drawConnection(watch?.state);
    drawPages();
    drawStage(watch);
    first.draw(watch);
    if (watch && !at('feed').hidden) roll.draw(watch, { trail, hasScreens: alerts.hasScreens, isShowing: alerts.isShowing });
}

function drawStage(watch) {
    const isFirst = pages.length === 0;
    at('pages').hidden = isFirst;
    at('feed').hidden = isFirst || pageForm.isOpen;
    pageForm.draw({ isFirst, isStep: isFirst && first.isOn });
    if (!watch) return;
    const { page } = watch;
    at('feed-title').textContent = page.title;
    at('feed-facts').textContent = `${page.slug} · ${page.currency}`;
    at('test-currency').textContent = `(${page.currency})`;
    at('unheard').hidden = watch.isHeard;
    at('unheard').textContent = `This page is ${page.owner}’s, and its live feed is for its owner and members. `
        + 'These are the tips from when you opened it.';
    const { text, least } = forms.filter.elements;
    at('filter-clear').hidden = !watch.search && !text.value && !least.value;
    at('export').disabled = watch.shown.list.tips.length === 0;
    drawCommands(session.publicURL, page.slug);
}

function drawPages() {
    reconcile(at('page-list'), pages.map(page => pageItem(page)));
}

const pageItems = new Map();

function pageItem(page) {
    if (!pageItems.has(page.slug)) pageItems.set(page.slug, copyOf('page-item'));
    const item = pageItems.get(page.slug);
    const watch = watches.get(page.slug);
    const link = item.firstElementChild;
    link.href = `#/${page.slug}`;
    link.title = page.slug;
    if (page.slug === selected) link.setAttribute('aria-current', 'page'); else link.removeAttribute('aria-current');
    item.querySelector('.page-title').textContent = page.title;
    const dot = item.querySelector('.dot');
    const state = watch?.state ?? { name: 'unheard' };
    dot.dataset.state = state.name;
    dot.title = dot.ariaLabel = connectionText(state);
    const badge = item.querySelector('.badge');
    badge.hidden = !watch?.unseen;
    badge.textContent = watch?.unseen > 99 ? '99+' : watch?.unseen;
    badge.ariaLabel = `${watch?.unseen} new`;
    return item;
}

let countdown = 0;

function drawConnection(state = { name: 'stopped' }) {
    clearTimeout(countdown);
    at('connection').dataset.state = state.name;
    at('connection-text').textContent = connectionText(state);
    if (state.name === 'waiting') countdown = setTimeout(() => drawConnection(state), 1000);
}

function connectionText(state) {
    switch (state.name) {
        case 'live': return 'Live';
        case 'waiting': return `Reconnecting in ${Math.max(1, Math.ceil((state.until - Date.now()) / 1000))} s`;
        case 'unheard': return 'Not live';
        case 'refused': return state.reason;
        default: return 'Connecting…';
    }
}

// MARK: What people do with tips

function tipPath(slug, tip) {
    return `pages/${slug}/tips/${encodeURIComponent(tip.id)}`;
}

function replay(tip, button, say = complain) {
    const slug = tip.page;
    doing(button, async () => {
        await call('POST', `${tipPath(slug, tip)}/replay`);
        if (say !== complain) say('Replayed.', false);
        if (!watches.get(slug)?.isHeard) announce('Replay sent');
    }, say);
}

function refund(tip) {
    const slug = tip.page;
    refundQuestion.ask(tip, async () => {
        const { tip: refunded } = await call('POST', `${tipPath(slug, tip)}/refund`);
        takeIn(slug, tip.id, refunded);
        details.update(refunded);
        announce(`Refunded: ${amountOf(tip)} from ${nameOf(tip)}`);
    });
}

/** Names of the goals that a tip went to; null where nobody knows. */
function goalsOf(id) {
    return trail?.goalsOf(id)?.map(goal => trail.nameOf(goal) ?? 'a goal that was removed') ?? null;
}


function sendTestTip(event) {
    event.preventDefault();
    const watch = watches.get(selected);
    const { name, amount, message } = forms.tip.elements;
    const answer = (text, isBad = text !== '') => {
        forms.tip.querySelector('.answer').textContent = text;
        forms.tip.querySelector('.answer').classList.toggle('is-bad', isBad);
    };
    const { units, problem } = tipAmount(amount.value, watch.page.currency);
    if (problem) {
        amount.focus();
        return answer(problem);
    }
    const body = { displayName: name.value, grossAmountInCents: units, message: message.value };
    doing(event.submitter, async () => {
        const { tip } = await call('POST', `pages/${watch.page.slug}/tips`, { body });
        // Pressed once more it would be a second tip.
        forms.tip.reset();
        answer(`Sent ${amountOf(tip)} from ${nameOf(tip)}.`, false);
        if (!watch.isHeard) watch.begin();
    }, answer);
}

// MARK: Filter and export

let filterTimer = 0;

function filterSoon() {
    clearTimeout(filterTimer);
    filterTimer = setTimeout(applyFilter, FILTER_MS);
    drawSoon();
}

function filterAnswer(text) {
    at('filter-answer').textContent = text;
}

function applyFilter() {
    clearTimeout(filterTimer);
    const watch = watches.get(selected);
    if (!watch) return;
    const { text, least } = forms.filter.elements;
    const units = least.value.trim() ? minorUnits(least.value, watch.page.currency) : null;
    const isWrong = least.value.trim() !== '' && units === null;
    least.ariaInvalid = String(isWrong);
    filterAnswer(isWrong ? amountProblem(least.value, watch.page.currency) : '');
    const wanted = { text: text.value.trim(), least: units };
    const isOn = Boolean(wanted.text || wanted.least);
    const now = watch.search?.filter ?? { text: '', least: null };
    if (wanted.text === now.text && wanted.least === now.least && isOn === Boolean(watch.search)) return;
    watch.find(isOn ? wanted : null);
}

function clearFilter() {
    forms.filter.reset();
    applyFilter();
    forms.filter.elements.text.focus();
    drawSoon();
}

function exportTips() {
    const { page, shown: { list } } = watches.get(selected);
    const header = ['Tipped at', 'Name', 'Amount', 'Fee', 'Net', 'Currency', 'Message', 'Goals', 'Refunded at', 'Id'];
    const rows = list.tips.map(tip => [
        tip.createdAt, tip.displayName, ...[tip.grossAmountInCents, tip.processingFeeInCents, tip.netAmountInCents]
            .map(units => decimal(units, tip.currency)),
        tip.currency, tip.message, goalsOf(tip.id)?.join('; '), tip.refundedAt, tip.id,
    ]);
    downloadCSV(`${page.slug}-tips.csv`, header, rows);
    announce(rows.length === 1 ? '1 tip exported' : `${rows.length} tips exported`);
}

// MARK: Beginning

function comeBack() {
    if (document.hidden) return;
    missed = 0;
    for (const watch of watches.values()) watch.nudge();
    // Pages may have been made or deleted elsewhere meanwhile.
    recheckPages();
    drawSoon();
}

function listen() {
    addEventListener('hashchange', () => {
        pageForm.close();
        select(slugFromAddress());
    });
    addEventListener('online', comeBack);
    document.addEventListener('visibilitychange', comeBack);
    at('new-page').addEventListener('click', () => pageForm.open());
    at('filter-clear').addEventListener('click', clearFilter);
    at('no-match-clear').addEventListener('click', clearFilter);
    at('export').addEventListener('click', exportTips);
    forms.filter.addEventListener('input', filterSoon);
    forms.filter.addEventListener('submit', event => {
        event.preventDefault();
        applyFilter();
    });
    forms.tip.addEventListener('submit', sendTestTip);
}

// On a wide screen the tools stand beside the tips; on a narrow one, above them, they would push them out of sight.
if (matchMedia('(min-width: 72rem)').matches) for (const id of ['alerts-tool', 'tip-tool']) at(id).open = true;
takePages(knownPages);
listen();
// By then our own feeds are among them.
setTimeout(countConnections, FIRST_COUNT_MS);
setInterval(() => roll.tellAges(), AGE_MS);
