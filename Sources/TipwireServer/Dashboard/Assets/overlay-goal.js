/** The goal bar: the active goal, what comes after it, and a little feast when one is reached. */
import { isAbove } from './alert-queue.js';
import { at } from './document.js';
import { amountFormat, dress, lookFrom, masker, reloadWhenServed, screenName, tellTrouble } from './overlay-look.js';
import { OverlaySocket, socketAddress } from './overlay-socket.js';

// As long as the transitions of overlay.css. Timers and not their events: those rest where the document is hidden.
const FILL_MS = 900;
const CHEER_MS = 3_000;
// Of several goals reached by one tip each has its moment, but a shorter one.
const CHAIN_STEP_MS = 1_500;
const TURN_MS = 450;
/** Scenes that wait. More than that and the feast is no longer about what happens on the stream. */
const SCENE_LIMIT = 24;
const SPARKS = 28;

const look = lookFrom(location.search);
const screen = screenName('goal', look.screen);
const amount = amountFormat(look.lang);
const masked = masker(look.mask);

let currency = look.currency;
let newest = null;
/** What is true. What is seen may be a few scenes behind. */
let goals = [];
const scenes = [];
let isPlaying = false;
let isOutdated = false;

dress(document.documentElement, 'goal', look);

// MARK: What is true

function hear(message) {
    if (message.type === 'overlay.state') {
        newest = message.cursor;
        currency = message.page.currency;
        goals = message.goals.map(goal => ({ ...goal }));
    } else if (!message.cursor || !isAbove(message.cursor, newest)) {
        return;
    } else {
        newest = message.cursor;
        take(message);
    }
    void play();
}

function take({ type, data }) {
    if (type === 'tip.received' && data.goalId) {
        change(data.goalId, { amountInCents: data.goalTarget, progressInCents: data.goalProgress });
    } else if (type === 'goal.completed') {
        complete(data);
    } else if (type === 'goal.chain') {
        stage({ kind: 'chain', count: data.goalsCompleted });
    } else if (type === 'goal.queue') {
        follow(data);
    }
}

function change(id, members) {
    const goal = goals.find(goal => goal.id === id);
    if (goal) Object.assign(goal, members);
}

function complete({ goalId, goalName, goalTarget, nextGoal, chainIndex, chainTotal }) {
    change(goalId, { state: 'completed', progressInCents: goalTarget });
    if (nextGoal) activate(nextGoal);
    stage({
        kind: 'completed', index: chainIndex, total: chainTotal,
        face: { ...faceNow(), state: 'active', title: goalName, progress: goalTarget, target: goalTarget },
        after: faceNow(),
    });
}

function activate({ id, description, amount: target, progress }) {
    for (const goal of goals) if (goal.state === 'active' && goal.id !== id) goal.state = 'queued';
    if (!goals.some(goal => goal.id === id)) goals.push({ id });
    change(id, { description, amountInCents: target, progressInCents: progress, state: 'active' });
}

/** The queue was changed. The event says how, and which goal is active now. */
function follow({ activeGoal, change: { kind, goalId, description, amountInCents, order } = {} }) {
    if (kind === 'added') {
        if (!goals.some(({ id }) => id === goalId)) {
            goals.push({ id: goalId, description, amountInCents, progressInCents: 0, state: 'queued' });
        }
    } else if (kind === 'removed') {
        goals = goals.filter(({ id }) => id !== goalId);
    } else if (kind === 'edited') {
        if (description) change(goalId, { description });
        if (amountInCents) change(goalId, { amountInCents });
    } else if (kind === 'reordered' && order) {
        const rank = new Map(order.map((id, index) => [id, index]));
        const done = goals.filter(({ state }) => state === 'completed');
        const open = goals.filter(({ state }) => state !== 'completed');
        goals = [...done, ...open.sort((a, b) => (rank.get(a.id) ?? 0) - (rank.get(b.id) ?? 0))];
    }
    if (activeGoal) return activate(activeGoal);
    // Without an active one none is queued: an edit or an adjustment has completed the last.
    for (const goal of goals) goal.state = 'completed';
}

/** What there is to see, in words and numbers. */
function faceNow() {
    const active = goals.find(({ state }) => state === 'active');
    const next = goals.find(({ state }) => state === 'queued');
    const done = goals.filter(({ state }) => state === 'completed').length;
    return {
        state: active ? 'active' : done ? 'done' : 'none',
        title: active?.description ?? '', progress: active?.progressInCents ?? 0, target: active?.amountInCents ?? 0,
        next: next && { title: next.description, target: next.amountInCents },
        done, count: goals.length,
    };
}

// MARK: What is seen

function stage(scene) {
    scenes.push(scene);
    while (scenes.length > SCENE_LIMIT) scenes.shift();
}

/** Plays the scenes that wait, then shows what is true. */
async function play() {
    if (isPlaying) return;
    isPlaying = true;
    while (scenes.length) await perform(scenes.shift());
    isPlaying = false;
    draw(faceNow());
    if (isOutdated) reloadWhenServed();
}

async function perform(scene) {
    if (scene.kind === 'chain') return cheer(`${scene.count} goals with one tip!`, '', CHEER_MS);
    const isChain = scene.total > 1;
    draw(scene.face);
    await pause(isChain ? FILL_MS * 0.7 : FILL_MS);
    const what = isChain ? `Goal ${scene.index + 1} of ${scene.total} reached!` : 'Goal reached!';
    await cheer(what, scene.face.title, isChain ? CHAIN_STEP_MS : CHEER_MS);
    await turnTo(scene.after);
}

async function cheer(what, title, milliseconds) {
    at('cheer-what').textContent = what;
    at('cheer-title').textContent = masked(title);
    at('goal').classList.remove('is-cheering');
    at('cheer').hidden = false;
    at('goal').hidden = false;
    // So that the animation begins anew where one cheer follows another.
    void at('goal').offsetWidth;
    at('goal').classList.add('is-cheering');
    if (look.effects === 'on') at('sparks').replaceChildren(...sparks(SPARKS));
    await pause(milliseconds);
    at('goal').classList.remove('is-cheering');
    at('sparks').replaceChildren();
    at('cheer').hidden = true;
}

/** The next goal comes up from below; its bar begins empty and grows to what has spilled into it. */
async function turnTo(face) {
    at('face').classList.add('is-turning');
    at('fill').classList.add('is-still');
    draw({ ...face, progress: 0 });
    void at('fill').offsetWidth;
    at('fill').classList.remove('is-still');
    await pause(TURN_MS);
    at('face').classList.remove('is-turning');
    draw(face);
}

function draw(face) {
    const { state, title, progress, target, next, done, count } = face;
    const isActive = state === 'active';
    at('goal').dataset.state = state;
    at('goal').hidden = !isActive && look.empty === 'hide';
    at('title').textContent = isActive ? masked(title) : state === 'done' ? 'All goals reached' : 'No goal yet';
    at('bar').hidden = state === 'none';
    at('of').hidden = at('target').hidden = at('percent').hidden = !isActive;
    at('target').textContent = isActive ? amount(target, currency) : '';
    countTo(isActive ? progress : null, done);
    const share = isActive ? Math.min(1, progress / target) : state === 'done' ? 1 : 0;
    // A sliver, so that the first cent is seen to have come in.
    at('fill').style.setProperty('--share', share > 0 ? Math.max(share, 0.015) : 0);
    const percent = Math.floor(share * 100);
    at('percent').textContent = `${percent} %`;
    at('track').ariaValueNow = percent;
    at('next').hidden = !next || !isActive;
    at('next-title').textContent = masked(next?.title ?? '');
    at('next-sum').textContent = next ? amount(next.target, currency) : '';
    at('count').textContent = isActive && count > 1 ? `${done} of ${count} reached` : '';
}

let counted = 0;
let counting = 0;

/** Lets the sum run to its new value; an animation loop for as long as it runs, and not a frame longer. */
function countTo(sum, done) {
    cancelAnimationFrame(counting);
    const write = value => { at('progress').textContent = amount(Math.round(value), currency); };
    if (sum === null) {
        counted = 0;
        at('progress').textContent = done === 1 ? '1 goal' : done ? `${done} goals` : '';
        return;
    }
    const from = counted;
    counted = sum;
    if (document.hidden || from >= sum) return write(sum);
    const start = performance.now();
    const step = now => {
        const share = Math.min(1, Math.max(0, now - start) / FILL_MS);
        write(from + (sum - from) * (1 - (1 - share) ** 3));
        if (share < 1) counting = requestAnimationFrame(step);
    };
    write(from);
    counting = requestAnimationFrame(step);
}

function sparks(count) {
    return Array.from({ length: count }, (_, index) => {
        const spark = document.createElement('i');
        spark.style.setProperty('--from', `${((index + Math.random()) / count * 100).toFixed(1)}%`);
        spark.style.setProperty('--x', `${(Math.random() * 10 - 5).toFixed(2)}rem`);
        spark.style.setProperty('--y', `${(-3 - Math.random() * 7).toFixed(2)}rem`);
        spark.style.setProperty('--turn', `${Math.round(Math.random() * 720 - 360)}deg`);
        spark.style.setProperty('--wait', `${Math.round(Math.random() * 250)}ms`);
        return spark;
    });
}

function pause(milliseconds) {
    return new Promise(resolve => { setTimeout(resolve, milliseconds); });
}

// MARK: Beginning

/** A goal that fills, is reached and gives way to the next, for whoever is choosing how it looks. */
async function rehearse() {
    for (;;) {
        goals = [
            { id: 'a', description: 'Coffee for the night shift', amountInCents: 2_000, progressInCents: 2_000,
                state: 'completed' },
            { id: 'b', description: 'New camera', amountInCents: 25_000, progressInCents: 16_500, state: 'active' },
            { id: 'c', description: 'Lights for the studio', amountInCents: 40_000, progressInCents: 0,
                state: 'queued' },
        ];
        await play();
        await pause(3_500);
        change('b', { progressInCents: 21_000 });
        await play();
        await pause(3_500);
        complete({
            goalId: 'b', goalName: 'New camera', goalTarget: 25_000, chainIndex: 0, chainTotal: 1,
            nextGoal: { id: 'c', description: 'Lights for the studio', amount: 40_000, progress: 6_000 },
        });
        await play();
        await pause(4_000);
    }
}

if (look.isPreview) {
    void rehearse();
} else {
    const address = () => socketAddress(location.href, { key: look.key, kind: 'goal', screen, page: look.page });
    const socket = new OverlaySocket(address, {
        since: () => null,
        message: hear,
        changed: state => tellTrouble(at('trouble'), state, look.key),
        outdated() {
            isOutdated = true;
            if (!isPlaying) reloadWhenServed();
        },
    });
    addEventListener('online', () => socket.nudge());
    document.addEventListener('visibilitychange', () => { if (!document.hidden) socket.nudge(); });
    socket.start();
}
