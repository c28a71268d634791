/** Recent tips: a list, newest first, that makes room for each new one. */
import { isAbove } from './alert-queue.js';
import { at, copyOf } from './document.js';
import { amountFormat, dress, lookFrom, masker, reloadWhenServed, screenName, tellTrouble } from './overlay-look.js';
import { OverlaySocket, socketAddress } from './overlay-socket.js';

/** As many as the server's state has. More than are shown, so that a refunded one leaves no hole. */
const KEPT_LIMIT = 20;
// Draw at most this often: fifty tips in a second are one movement.
const DRAW_MS = 80;
// More at once than this just appear: nobody could follow so many.
const SLIDE_LIMIT = 3;
const LEAVE_MS = 450;
// A test is no tip of this page, and goes again.
const TEST_MS = 12_000;

const look = lookFrom(location.search);
const screen = screenName('recent', look.screen);
const amount = amountFormat(look.lang);
const masked = masker(look.mask);

let newest = null;
let tips = [];
/** Tip id → its row. */
const rows = new Map();
let drawTimer = 0;
let isFirst = true;

dress(document.documentElement, 'recent', look);

function hear(message) {
    if (message.type === 'overlay.state') {
        newest = message.cursor;
        tips = message.recent.filter(isShown);
    } else if (message.type === 'overlay.test') {
        showTest(message);
    } else if (message.cursor && isAbove(message.cursor, newest)) {
        newest = message.cursor;
        if (message.type === 'tip.received') add(message.data);
        if (message.type === 'tip.refunded') remove(message.data.id);
    }
    drawSoon();
}

function isShown(tip) {
    return !tip.refundedAt && tip.grossAmountInCents >= look.min;
}

function add(tip) {
    if (!isShown(tip) || tips.some(({ id }) => id === tip.id)) return;
    tips = [tip, ...tips].slice(0, KEPT_LIMIT);
}

function remove(id) {
    tips = tips.filter(tip => tip.id !== id);
}

function showTest({ id, tip }) {
    const shown = { ...tip, id: `test ${id}`, grossAmountInCents: Math.max(tip.grossAmountInCents, look.min) };
    add(shown);
    setTimeout(() => {
        remove(shown.id);
        drawSoon();
    }, TEST_MS);
}

function drawSoon() {
    drawTimer ||= setTimeout(draw, DRAW_MS);
}

function draw() {
    drawTimer = 0;
    const wanted = tips.slice(0, look.count);
    const fresh = wanted.filter(({ id }) => !rows.has(id));
    const slides = !isFirst && fresh.length <= SLIDE_LIMIT && !document.hidden;
    isFirst = false;
    for (const tip of fresh) rows.set(tip.id, row(tip, slides));
    place(wanted.map(({ id }) => rows.get(id)));
    const kept = new Set(wanted.map(({ id }) => id));
    for (const id of [...rows.keys()]) if (!kept.has(id)) leave(id);
}

/** Puts the rows in their order and touches none that is in its place: it may be moving. */
function place(wanted) {
    const list = at('tips');
    let next = list.firstElementChild;
    for (const element of wanted) {
        while (next?.classList.contains('is-leaving')) next = next.nextElementSibling;
        if (element === next) next = next.nextElementSibling; else list.insertBefore(element, next);
    }
}

function leave(id) {
    const element = rows.get(id);
    rows.delete(id);
    element.classList.add('is-leaving');
    setTimeout(() => element.remove(), LEAVE_MS);
}

/** What tippers wrote goes in as text and never as markup. */
function row(tip, slides) {
    const element = copyOf('tip');
    element.querySelector('.name').textContent = masked(tip.displayName ?? '') || 'Anonymous';
    element.querySelector('.amount').textContent = amount(tip.grossAmountInCents, tip.currency);
    const message = element.querySelector('.recent-message');
    message.textContent = masked(tip.message ?? '').trim();
    message.hidden = !message.textContent || look.messages === 'off';
    element.classList.toggle('is-entering', slides);
    element.addEventListener('animationend', () => element.classList.remove('is-entering'));
    return element;
}

// MARK: Beginning

const SAMPLES = [
    ['Ada', 2_500, 'That last round was unreal! 🎉'],
    ['نور', 500, 'بث رائع، شكرًا لك!'],
    ['', 10_000, ''],
    ['Grace H.', 1_200, 'First time here, staying.'],
    ['mikk0', 300, 'gg'],
    ['Søren', 5_000, 'For the new camera.'],
];

/** A list that moves, for whoever is choosing how it looks. */
function rehearse() {
    let count = 0;
    const sample = () => {
        const [displayName, grossAmountInCents, message] = SAMPLES[count % SAMPLES.length];
        return { id: `sample ${count++}`, displayName, grossAmountInCents, message, currency: look.currency };
    };
    tips = Array.from({ length: look.count }, sample);
    draw();
    setInterval(() => {
        add(sample());
        draw();
    }, 3_000);
}

if (look.isPreview) {
    look.min = 0;
    rehearse();
} else {
    const address = () => socketAddress(location.href, { key: look.key, kind: 'recent', screen, page: look.page });
    const socket = new OverlaySocket(address, {
        since: () => null,
        message: hear,
        changed: state => tellTrouble(at('trouble'), state, look.key),
        outdated: reloadWhenServed,
    });
    addEventListener('online', () => socket.nudge());
    document.addEventListener('visibilitychange', () => { if (!document.hidden) socket.nudge(); });
    socket.start();
}
