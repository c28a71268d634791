/**
 * What every view of the dashboard stands in: the bar with the chosen page and the account, the way to the other views, and the
 * notice below. A view begins with `const { session, page, pages } = await shell();`.
 *
 * The chosen page stands in the hash, so that a view can be bookmarked and sent to someone; another one is another load.
 */
import { call, Refusal } from './api.js';
import { at } from './document.js';
import { backoff } from './feed.js';

const VIEWS = [
    { name: 'live', path: '/', label: 'Live', icon: 'M3 10h3l2-6 4 12 2-6h3' },
    { name: 'goals', path: '/goals', label: 'Goals', icon: 'M5 17V3l10 3.5L5 10' },
    { name: 'charts', path: '/charts', label: 'Charts', icon: 'M4 16V9M10 16V4M16 16v-5' },
    { name: 'overlays', path: '/overlays', label: 'Overlays', icon: 'M3 4h14v9H3zM7 17h6M10 13v4' },
    { name: 'keys', path: '/keys', label: 'Keys', icon: 'M9 11a3.5 3.5 0 1 1 2-2l6 6v2h-3v-2h-2v-2z', isOther: true },
    { name: 'webhooks', path: '/webhooks', label: 'Webhooks', icon: 'M4 10h9M10 6l4 4-4 4M16 4v12' },
    { name: 'listeners', path: '/listeners', label: 'Listeners', icon: 'M4 13v-3a6 6 0 0 1 12 0v3M4 12h2v4H4zM14 12h2v4h-2z' },
    { name: 'try', path: '/try', label: 'Try it', icon: 'M4 5l5 5-5 5M11 15h5' },
    { name: 'settings', path: '/settings', label: 'Settings', icon: 'M3 6h8M15 6h2M3 14h2M9 14h8M13 4v4M7 12v4' },
];
// The last page that was looked at: a view that is opened without one begins there.
const REMEMBERED = 'tipwire.page';

let started = null;

/** `{session, page, pages, isHeard}`; waits for as long as the server can't be reached. Asked twice it is the same. */
export function shell() {
    started ??= begin();
    return started;
}

async function begin() {
    const view = document.body.dataset.view;
    drawBar();
    drawViews(view, location.hash);
    const { session, pages } = await known();
    const page = chosen(pages);
    drawAccount(session);
    // The Live view has a list of all pages, and changes between them without a new load.
    if (view !== 'live') {
        drawPicker(pages, page);
        addEventListener('hashchange', () => location.reload());
    }
    if (page) remember(page.slug);
    drawViews(view, page ? `#/${page.slug}` : '');
    // The management API shows an admin every account's pages; what is live is for the owner and the members.
    const isHeard = page => page.owner === session.account || page.members.includes(session.account);
    return { session, page, pages, isHeard };
}

/** Whose browser this is and what there is to see. */
async function known() {
    for (let attempt = 0; ; attempt++) {
        try {
            const [session, { data: pages }] = await Promise.all([
                call('GET', 'session'), call('GET', 'pages?limit=1000'),
            ]);
            complain('');
            return { session, pages };
        } catch (error) {
            if (error instanceof Refusal && error.isFinal) {
                complain(error.message);
                throw error;
            }
            complain('The server can’t be reached. Trying again.');
            await new Promise(resolve => { setTimeout(resolve, backoff(attempt)); });
        }
    }
}

function chosen(pages) {
    const wishes = [decodeURIComponent(location.hash.replace(/^#\//, '')), remembered()];
    return wishes.map(slug => pages.find(page => page.slug === slug)).find(Boolean) ?? pages[0] ?? null;
}

// A browser that keeps nothing (private, or told so) throws here; then there is nothing to remember.
function remembered() {
    try { return localStorage.getItem(REMEMBERED); } catch { return null; }
}

/** Makes it the page that other views begin with, and leads to them with it. */
export function remember(slug) {
    try { localStorage.setItem(REMEMBERED, slug); } catch { /* as above */ }
    for (const link of at('views').querySelectorAll('a')) link.hash = `#/${slug}`;
}

// MARK: Drawing

function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
}

function drawBar() {
    const image = element('img', { src: '/assets/icon.svg', alt: '', width: 28, height: 28 });
    const brand = element('a', { className: 'brand', href: '/' }, image, 'Tipwire');
    const out = element('button', { className: 'quiet', id: 'sign-out', type: 'button', textContent: 'Sign out' });
    out.addEventListener('click', () => doing(out, async () => {
        await call('DELETE', 'session');
        location.replace('/');
    }));
    at('shell').replaceChildren(
        brand,
        element('span', { className: 'picker', id: 'picker' }),
        element('p', { className: 'account', id: 'account' }), out);
    const notice = element('div', { className: 'notice', id: 'notice', hidden: true });
    notice.setAttribute('role', 'alert');
    const close = element('button', { className: 'quiet', type: 'button', textContent: 'Dismiss' });
    close.addEventListener('click', () => complain(''));
    notice.append(element('p', { id: 'notice-text' }), close);
    at('shell').after(notice);
}

function drawAccount(session) {
    at('account').textContent = session.account;
}

function drawPicker(pages, page) {
    if (pages.length === 0) return;
    const select = element('select', { id: 'page', ariaLabel: 'Page' });
    select.append(...pages.map(({ slug, title }) => new Option(title, slug, false, slug === page?.slug)));
    select.addEventListener('change', () => { location.hash = `#/${select.value}`; });
    at('picker').replaceChildren(select);
}

function drawViews(current, hash) {
    const list = element('ul', {});
    for (const view of VIEWS) {
        const link = element('a', { href: view.path + hash }, icon(view.icon), element('span', {}, view.label));
        if (view.name === current) link.setAttribute('aria-current', 'page');
        list.append(element('li', { className: view.isOther ? 'is-apart' : '' }, link));
    }
    at('views').replaceChildren(list);
    list.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
}

function icon(path) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 20 20');
    svg.setAttribute('aria-hidden', 'true');
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    line.setAttribute('d', path);
    svg.append(line);
    return svg;
}

// MARK: What goes wrong

/** Says what went wrong, below the bar; nothing takes it away. */
export function complain(text) {
    const notice = at('notice');
    if (!notice) return;
    at('notice-text').textContent = text;
    notice.hidden = !text;
}

/** Runs `work` with its button at rest, so that no click counts twice, and says what went wrong. */
export async function doing(button, work, say = complain) {
    if (button) button.disabled = true;
    try {
        say('');
        await work();
    } catch (error) {
        if (error.name !== 'AbortError') say(explained(error));
    } finally {
        if (button) button.disabled = false;
    }
}

function explained(error) {
    if (error instanceof Refusal) return error.message;
    if (error instanceof TypeError) return 'The server can’t be reached. Nothing is known of the outcome.';
    throw error;
}
