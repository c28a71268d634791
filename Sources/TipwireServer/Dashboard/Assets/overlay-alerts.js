/** The alert box: shows tips one after the other. `alert-queue.js` decides which, this file shows it and says so. */
import { AlertQueue } from './alert-queue.js';
import { AlertSound } from './alert-sound.js';
import { at, copyOf } from './document.js';
import {
    amountFormat, dress, lookFrom, masker, reloadWhenServed, screenName, tellTrouble,
} from './overlay-look.js';
import { OverlaySocket, socketAddress } from './overlay-socket.js';

// As long as the animations of overlay.css. Timers and not their events: those rest where the document is hidden.
const ENTRY_MS = 650;
const EXIT_MS = 450;
const GAP_MS = 250;
const SPARKS = 18;
// Speech of a long message may go on for so long after the time of its alert; then the next one has waited enough.
const SPEECH_LIMIT_MS = 30_000;
// Smaller than this nobody reads it any more; then the message is cut.
const SMALLEST_FIT = 0.5;
const MOST_LINES = 6;
/** Pixels of the source's height for each line of a message. */
const LINE_ROOM = 60;

const look = lookFrom(location.search);
const screen = screenName('alerts', look.screen);
const store = `tipwire.overlay.${look.page || look.key.slice(0, 11)}.alerts.${screen}`;
const amount = amountFormat(look.lang);
const masked = masker(look.mask);
const sound = new AlertSound(look.isPreview ? 'off' : look.sound, look.volume);
const queue = new AlertQueue({ least: look.min, isOnce: look.display === 'once', since: kept() });
/** Id of each goal → what it is for, as the template may want to say it. */
const goals = new Map();
let activeGoal = null;
let currency = look.currency;
let isOutdated = false;
let timer = 0;

dress(document.documentElement, 'alerts', look);

// MARK: The connection

const socket = new OverlaySocket(
    since => socketAddress(location.href, {
        key: look.key, kind: 'alerts', screen, display: look.display, page: look.page, since,
    }),
    {
        since: () => queue.since,
        message: hear,
        changed(state) {
            if (state.name === 'waiting') queue.lose();
            tellTrouble(at('trouble'), state, look.key);
        },
        outdated() {
            isOutdated = true;
            run();
        },
    },
);

function hear(message) {
    switch (message.type) {
        case 'overlay.state':
            for (const goal of message.goals) goals.set(goal.id, goal.description);
            activeGoal = message.goals.find(({ state }) => state === 'active')?.id ?? null;
            currency = message.page.currency;
            queue.begin(message);
            break;
        case 'overlay.resumed': queue.resume(message); break;
        case 'overlay.alerts': queue.allow(message); if (message.muted) hush(); break;
        case 'overlay.lease': queue.lease(message.cursor, message.state, Date.now()); break;
        case 'overlay.test': queue.take({ tip: message.tip, isTest: true }, Date.now()); break;
        case 'overlay.again': take({ cursor: message.cursor, tip: message.tip, isAgain: true }); break;
        case 'tip.received':
        case 'tip.replayed': take({ cursor: message.cursor, tip: message.data, time: message.time }); break;
        default: pass(message);
    }
    keep();
    run();
}

function take(alert) {
    socket.send({ type: 'received', cursor: alert.cursor, tip: alert.tip.id });
    queue.take(alert, Date.now());
}

function pass({ type, cursor, data }) {
    if (type === 'tip.refunded') queue.refund(data.id);
    if (type === 'goal.queue') {
        activeGoal = data.activeGoal?.id ?? null;
        if (data.activeGoal) goals.set(activeGoal, data.activeGoal.description);
    }
    if (cursor) queue.pass(cursor);
}

/** Where an earlier life of this document got to. */
function kept() {
    try {
        return localStorage.getItem(store);
    } catch {
        return null;
    }
}

let lastKept = null;

function keep() {
    if (look.isPreview || queue.since === lastKept) return;
    lastKept = queue.since;
    try {
        localStorage.setItem(store, lastKept);
    } catch {
        // Full or forbidden: a reload then begins with what comes.
    }
}

// MARK: Showing

/** Does what the queue wants done, until it wants to wait. */
function run() {
    clearTimeout(timer);
    // Between two alerts, never in the middle of one.
    if (isOutdated && !queue.isShowing) {
        isOutdated = false;
        return void reloadWhenServed();
    }
    for (;;) {
        const step = queue.next(Date.now());
        if (step.act === 'claim') {
            socket.send({ type: 'claim', cursor: step.cursor });
        } else if (step.act === 'show') {
            show(step.alert);
        } else {
            if (step.act === 'wait') timer = setTimeout(run, Math.max(0, step.until - Date.now()));
            return keep();
        }
    }
}

/** The life of one alert. Whatever may go wrong in it, the next one comes. */
async function show({ tip }) {
    try {
        await present(tip);
    } catch (error) {
        console.error(error);
        queue.mark();
        at('stage').replaceChildren();
        await pause(GAP_MS);
    }
    queue.end();
    run();
}

async function present(tip) {
    const element = alertElement(tip);
    at('stage').replaceChildren(element);
    fit(element);
    element.classList.add('is-entering');
    if (!queue.isMuted) sound.play();
    const speech = queue.isMuted ? null : speak(tip);
    await pause(ENTRY_MS);
    element.classList.remove('is-entering');
    const seen = queue.mark();
    if (seen) socket.send({ type: 'shown', cursor: seen.cursor, tip: seen.tip.id });
    keep();
    await Promise.all([pause(look.duration * 1000 - ENTRY_MS), speech]);
    element.classList.add('is-leaving');
    await pause(EXIT_MS);
    element.remove();
    await pause(GAP_MS);
}

function pause(milliseconds) {
    return new Promise(resolve => { setTimeout(resolve, milliseconds); });
}

/** An alert in its document. What tippers wrote goes in as text and never as markup. */
function alertElement(tip) {
    const element = copyOf('alert');
    const words = wordsOf(tip);
    const line = element.querySelector('.alert-line');
    line.append(...look.template.map(piece => pieceElement(piece, words)));
    line.dataset.length = line.textContent.length > 45 ? 'long' : 'short';
    const message = element.querySelector('.alert-message');
    const isInLine = look.template.some(({ field }) => field === 'message');
    message.textContent = words.message;
    message.hidden = !words.message || isInLine;
    // Few words may be large, many have to be small.
    const { length } = words.message;
    message.dataset.length = length > 240 ? 'long' : length > 70 ? 'medium' : 'short';
    if (look.effects === 'on') element.querySelector('.sparks').append(...sparks(SPARKS));
    return element;
}

function wordsOf(tip) {
    return {
        name: masked(tip.displayName ?? '') || 'Anonymous',
        amount: amount(tip.grossAmountInCents, tip.currency ?? currency),
        message: masked(tip.message ?? '').trim(),
        goal: masked(goals.get(tip.goalId ?? activeGoal) ?? ''),
    };
}

function pieceElement({ text, field }, words) {
    if (text !== undefined) return document.createTextNode(text);
    const element = document.createElement('bdi');
    element.className = `said-${field}`;
    element.textContent = words[field];
    return element;
}

function sparks(count) {
    return Array.from({ length: count }, (_, index) => {
        const spark = document.createElement('i');
        const angle = (index + Math.random() * 0.7) / count * 2 * Math.PI;
        const reach = 0.75 + Math.random() * 0.5;
        spark.style.setProperty('--x', `${(Math.cos(angle) * reach * 16).toFixed(2)}rem`);
        // Mostly upwards: below is what people read.
        spark.style.setProperty('--y', `${(Math.sin(angle) * reach * 5.5 - 3).toFixed(2)}rem`);
        spark.style.setProperty('--turn', `${Math.round(Math.random() * 540 - 270)}deg`);
        return spark;
    });
}

/** Makes the alert smaller until it is all in sight, whatever the size of the source in OBS. */
function fit(element) {
    const root = document.documentElement;
    const stage = at('stage');
    const message = element.querySelector('.alert-message');
    // Where there is little room, few large lines are read and many small ones are not.
    let lines = Math.max(1, Math.min(MOST_LINES, Math.floor(stage.clientHeight / LINE_ROOM)));
    for (let scale = 1; ; scale -= 0.1) {
        root.style.setProperty('--fit', scale);
        root.style.setProperty('--lines', lines);
        shorten(element.querySelector('.alert-line'));
        const isIn = element.offsetHeight <= stage.clientHeight - padding(stage)
            && element.scrollWidth <= element.clientWidth + 1;
        if (isIn) return;
        if (scale - 0.1 < SMALLEST_FIT) {
            if (lines === 1 || message.hidden) return;
            lines -= 1;
            scale += 0.1;
        }
    }
}

const letters = new Intl.Segmenter();

/** Cuts the longest of what tippers wrote until the line is all there: what comes after it, the amount above all, must
 *  not be lost behind a name of a hundred letters. */
function shorten(line) {
    const parts = [...line.querySelectorAll('.said-message, .said-name, .said-goal')];
    // Tall letters stick out a little of a line that holds them all; only what is hidden takes a whole line more.
    const most = line.clientHeight + parseFloat(getComputedStyle(line).lineHeight) * 0.7;
    while (parts.length && line.scrollHeight > most) {
        const longest = parts.reduce((a, b) => (b.textContent.length > a.textContent.length ? b : a));
        const kept = Array.from(letters.segment(longest.textContent.replace(/…$/, '')), ({ segment }) => segment);
        if (kept.length < 8) return;
        longest.textContent = `${kept.slice(0, Math.floor(kept.length * 0.9)).join('').trimEnd()}…`;
    }
}

function padding(element) {
    const { paddingTop, paddingBottom } = getComputedStyle(element);
    return parseFloat(paddingTop) + parseFloat(paddingBottom);
}

// MARK: Speech

/** Settles when everything is said, or has gone on for too long. */
function speak(tip) {
    if (look.tts !== 'on' || look.isPreview || !globalThis.speechSynthesis) return null;
    const words = wordsOf(tip);
    const line = look.template.map(({ text, field }) => text ?? words[field]).join('');
    const isInLine = look.template.some(({ field }) => field === 'message');
    const said = new SpeechSynthesisUtterance(isInLine ? line : `${line}. ${words.message}`);
    said.volume = look.volume / 100;
    if (look.lang) said.lang = look.lang;
    const isSaid = new Promise(resolve => { said.onend = said.onerror = resolve; });
    speechSynthesis.cancel();
    speechSynthesis.speak(said);
    // Where there is no voice, neither of the two events ever comes.
    const limit = look.duration * 1000 + (speechSynthesis.getVoices().length ? SPEECH_LIMIT_MS : 0);
    return Promise.race([isSaid, pause(limit)]).then(() => speechSynthesis.cancel());
}

function hush() {
    sound.stop();
    globalThis.speechSynthesis?.cancel();
}

// MARK: Beginning

const SAMPLES = [
    {
        displayName: 'Ada', grossAmountInCents: 2_500,
        message: 'That last round was unreal! 🎉 Here’s to the next one.',
    },
    { displayName: 'نور', grossAmountInCents: 500, message: 'بث رائع، شكرًا لك!' },
    { displayName: '', grossAmountInCents: 10_000, message: '' },
];

/** Sample alerts, over and over, for whoever is choosing how they look. */
function rehearse() {
    goals.set('sample', 'New camera');
    activeGoal = 'sample';
    let index = 0;
    const next = () => {
        const sample = SAMPLES[index++ % SAMPLES.length];
        queue.take({ tip: { ...sample, currency: look.currency }, isTest: true }, Date.now());
        run();
        setTimeout(next, look.duration * 1000 + 1_200);
    };
    next();
}

if (look.isPreview) {
    rehearse();
} else {
    addEventListener('online', () => socket.nudge());
    document.addEventListener('visibilitychange', () => { if (!document.hidden) socket.nudge(); });
    socket.start();
}
