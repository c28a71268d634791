/** The dashboard's first page: tips as they come. Wires what knows (watch.js) to what shows (live.html). */
import { call, Refusal } from './api.js';
import { countConnections, drawCommands } from './connect.js';
import { at, copyOf, reconcile } from './document.js';
import { backoff } from './feed.js';
import { minorUnits } from './money.js';
import { amountOf, dress, nameOf, tellAge, tipRow } from './row.js';
import { TipList } from './tips.js';
import { PageWatch } from './watch.js';

// Each page under watch holds a WebSocket, and a browser has some 200 of them for all its tabs.
const WATCH_LIMIT = 20;
// Draw at most this often: a page may get thousands of tips a second.
const DRAW_MS = 60;
// More at once than this just appear: movement is to show where to look, and nobody can look at all of them.
const SLIDE_LIMIT = 4;
const ANNOUNCE_MS = 1_000;
const AGE_MS = 15_000;
const FIRST_COUNT_MS = 2_000;

// Opened by a one-time link: its code is spent, and has no place in the history.
if (location.pathname !== '/') history.replaceState(null, '', '/' + location.hash);

const forms = { page: at('make-page'), tip: at('test-tip') };

let session;
let pages = [];
let selected = null;
let isMakingPage = false;
/** Slug → PageWatch, the one looked at last at the end. */
const watches = new Map();
/** Tips that came while the tab was hidden. */
let missed = 0;

// MARK: Pages

async function refreshPages() {
    const { data } = await call('GET', 'pages?limit=1000');
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

// The management API shows an admin every account's pages; a feed is for the owner and the members.
function isHeard(page) {
    return page.owner === session.account || page.members.includes(session.account);
}

function watch(page) {
    if (watches.has(page.slug)) return;
    const added = new PageWatch(page, isHeard(page), {
        changed: drawSoon, arrived, replayed, doubted: recheckPages,
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

function select(slug) {
    const isOther = slug !== selected;
    if (isOther) {
        selected = slug;
        rows.clear();
        at('tips').replaceChildren();
        // What no feed keeps true is read anew.
        const known = watches.get(slug);
        if (known && !known.isHeard) known.begin();
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

function arrived(watch, tip) {
    if (document.hidden) missed += 1;
    const isInSight = watch.page.slug === selected && !document.hidden;
    if (!isInSight) watch.unseen += 1;
    if (watch.page.slug === selected) {
        fresh.add(tip.id);
        announce(`${amountOf(tip)} from ${nameOf(tip)}. ${tip.message}`);
    }
}

function replayed(watch, tip) {
    if (watch.page.slug !== selected) return;
    pulsing.add(tip.id);
    announce(`Replayed: ${amountOf(tip)} from ${nameOf(tip)}`);
}

const announcements = { count: 0, timer: 0, latest: '' };

/** Says it to screen readers, a burst as its number: read out one by one it would last for minutes. */
function announce(text) {
    announcements.count += 1;
    announcements.latest = text;
    announcements.timer ||= setTimeout(() => {
        const { count, latest } = announcements;
        at('announcement').textContent = count > 1 ? `${count} tips, the latest: ${latest}` : latest;
        Object.assign(announcements, { count: 0, timer: 0 });
    }, ANNOUNCE_MS);
}

// MARK: Drawing

/** Tip id → row of the selected page, and the tip it shows. */
const rows = new Map();
const fresh = new Set();
const pulsing = new Set();
let drawTimer = 0;

// A timer and not an animation frame: those rest in a hidden tab, and what waits for them would pile up.
function drawSoon() {
    drawTimer ||= setTimeout(() => {
        drawTimer = 0;
        draw();
    }, DRAW_MS);
}

function draw() {
    const watch = watches.get(selected);
    if (watch && !document.hidden) watch.unseen = 0;
    document.title = `${missed ? `(${missed}) ` : ''}${watch?.page.title ?? 'Live'} · Tipwire`;
    drawConnection(watch?.state);
    drawPages();
    drawStage(watch);
    if (watch) drawTips(watch);
}

function drawStage(watch) {
    const isFirst = pages.length === 0;
    const showsForm = isFirst || isMakingPage;
    at('layout').hidden = false;
    at('layout').classList.toggle('is-first', isFirst);
    at('pages').hidden = isFirst;
    at('tools').hidden = showsForm;
    at('feed').hidden = showsForm;
    forms.page.hidden = !showsForm;
    at('make-page-title').textContent = isFirst ? 'Make your first page' : 'Make a page';
    at('make-page-cancel').hidden = isFirst;
    if (!watch) return;
    const { page } = watch;
    at('feed-title').textContent = page.title;
    at('feed-facts').textContent = `${page.slug} · ${page.currency}`;
    at('test-currency').textContent = `(${page.currency})`;
    at('unheard').hidden = watch.isHeard;
    at('unheard').textContent = `This page is ${page.owner}’s, and its live feed is for its owner and members. `
        + 'These are the tips from when you opened it.';
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

function drawTips(watch) {
    const { list } = watch;
    const slides = fresh.size <= SLIDE_LIMIT;
    reconcile(at('tips'), list.tips.map(tip => rowOf(tip, watch, slides)));
    const shown = new Set(list.tips.map(tip => tip.id));
    for (const id of rows.keys()) if (!shown.has(id)) rows.delete(id);
    for (const id of pulsing) rows.get(id)?.element.classList.add('is-pulsing');
    fresh.clear();
    pulsing.clear();
    at('empty').hidden = !watch.isLoaded || list.tips.length > 0;
    at('load-older').hidden = list.next === null || list.isFull;
    at('full').hidden = !list.isFull;
    at('full').textContent = `The newest ${TipList.limit}. Older ones: tipwire tips ${watch.page.slug} --limit 1000`;
}

function rowOf(tip, { page, list }, slides) {
    const row = rows.get(tip.id);
    const replays = list.replays.get(tip.id) ?? 0;
    if (row) {
        if (row.tip !== tip || row.replays !== replays) dress(row.element, tip, replays);
        Object.assign(row, { tip, replays });
        return row.element;
    }
    const element = tipRow(tip, replays, button => replay(page, tip, button));
    element.addEventListener('animationend', () => element.classList.remove('is-arriving', 'is-pulsing'));
    if (fresh.has(tip.id) && slides) element.classList.add('is-arriving');
    rows.set(tip.id, { element, tip, replays });
    return element;
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

function complain(text) {
    at('notice-text').textContent = text;
    at('notice').hidden = !text;
}

// MARK: What people do

/** Runs `work` with its button at rest, so that no click counts twice, and says what went wrong. */
async function doing(button, work, say = complain) {
    button.disabled = true;
    try {
        say('');
        await work();
    } catch (error) {
        if (error.name !== 'AbortError') say(explained(error));
    } finally {
        button.disabled = false;
    }
}

function explained(error) {
    return error instanceof Refusal ? error.message : 'The server can’t be reached. Nothing is known of the outcome.';
}

function replay(page, tip, button) {
    doing(button, async () => {
        await call('POST', `pages/${page.slug}/tips/${encodeURIComponent(tip.id)}/replay`);
        if (!watches.get(page.slug)?.isHeard) announce('Replay sent');
    });
}

function answering(form) {
    return text => { form.querySelector('.answer').textContent = text; };
}

function sendTestTip(event) {
    event.preventDefault();
    const watch = watches.get(selected);
    const { name, amount, message } = forms.tip.elements;
    const answer = answering(forms.tip);
    const units = minorUnits(amount.value, watch.page.currency);
    if (!units) {
        amount.focus();
        return answer(`That is no amount in ${watch.page.currency}.`);
    }
    const body = { displayName: name.value, grossAmountInCents: units, message: message.value };
    doing(event.submitter, async () => {
        const { tip } = await call('POST', `pages/${watch.page.slug}/tips`, { body });
        answer(`Sent ${amountOf(tip)}.`);
        if (!watch.isHeard) watch.begin();
    }, answer);
}

function makePage(event) {
    event.preventDefault();
    const { title, slug, currency } = forms.page.elements;
    const body = { slug: slug.value, title: title.value, currency: currency.value.toUpperCase() };
    doing(event.submitter, async () => {
        const page = await call('POST', 'pages', { body });
        showPageForm(false);
        history.pushState(null, '', `#/${page.slug}`);
        await refreshPages();
    }, answering(forms.page));
}

function showPageForm(isShown) {
    isMakingPage = isShown;
    forms.page.reset();
    hasOwnSlug = false;
    draw();
    if (isShown) forms.page.elements.title.focus();
}

let hasOwnSlug = false;

/** The slug follows the title until someone has another idea. */
function suggestSlug({ target }) {
    const { title, slug } = forms.page.elements;
    if (target === slug) hasOwnSlug = slug.value !== '';
    if (target !== title || hasOwnSlug) return;
    const letters = title.value.normalize('NFKD').replace(/[\u0300-\u036f’']/g, '').toLowerCase();
    slug.value = letters.replace(/[^a-z0-9]+/g, '-').replace(/^-+/, '').slice(0, 64).replace(/-+$/, '');
}

function signOut(event) {
    doing(event.currentTarget, async () => {
        await call('DELETE', 'session');
        location.reload();
    });
}

function comeBack() {
    if (document.hidden) return;
    missed = 0;
    for (const watch of watches.values()) watch.nudge();
    // Pages may have been made or deleted elsewhere meanwhile.
    recheckPages();
    drawSoon();
}

// MARK: Beginning

function listen() {
    addEventListener('hashchange', () => {
        isMakingPage = false;
        select(slugFromAddress());
    });
    addEventListener('online', comeBack);
    document.addEventListener('visibilitychange', comeBack);
    at('new-page').addEventListener('click', () => showPageForm(true));
    at('make-page-cancel').addEventListener('click', () => showPageForm(false));
    at('sign-out').addEventListener('click', signOut);
    at('notice-close').addEventListener('click', () => complain(''));
    at('load-older').addEventListener('click', event => {
        doing(event.currentTarget, () => watches.get(selected).loadOlder());
    });
    forms.page.addEventListener('input', suggestSlug);
    forms.page.addEventListener('submit', makePage);
    forms.tip.addEventListener('submit', sendTestTip);
}

async function begin() {
    for (let attempt = 0; ; attempt++) {
        try {
            session = await call('GET', 'session');
            await refreshPages();
            return complain('');
        } catch (error) {
            if (error instanceof Refusal && error.isFinal) throw error;
            complain('The server can’t be reached. Trying again.');
            await new Promise(resolve => { setTimeout(resolve, backoff(attempt)); });
        }
    }
}

try {
    await begin();
} catch (error) {
    complain(error.message);
    throw error;
}
at('account').textContent = session.account;
// On a wide screen the tools stand beside the tips; on a narrow one, above them, they would push them out of sight.
if (matchMedia('(min-width: 64rem)').matches) for (const tool of at('tools').children) tool.open = true;
listen();
// By then our own feeds are among them.
setTimeout(countConnections, FIRST_COUNT_MS);
setInterval(() => { for (const { element } of rows.values()) tellAge(element.querySelector('time')); }, AGE_MS);
