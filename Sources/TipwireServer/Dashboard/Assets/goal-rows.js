/** The rows of the goals: those in the queue, and the completed ones below it. */
import { at, copyOf, reconcile } from './document.js';
import { goals, isLoaded, isOpen, money, page } from './goal-list.js';

export const SLIDE_MS = 220;
export const stillness = matchMedia('(prefers-reduced-motion: reduce)');

/** Goal id → its row, in the queue and among the completed. */
export const rows = new Map();
export const doneRows = new Map();

/** Why the view shows something else than the list has. */
export const meanwhile = {
    /** The goal that is being moved, by pointer or keys: until it is put down no row changes its place. */
    moving: null,
    /** Goal id → its toast and timer. Nothing has been asked of the server yet, so that undoing costs nothing. */
    removals: new Map(),
    /** Goal id → from when to when it is shown as just completed, in its place in the queue. */
    acts: new Map(),
    /** Goal id → until when its bar waits for the goals before it. */
    waits: new Map(),
};
let equip = () => {};

/** What makes a new row do something: it is given the row and the goal's id. */
export function equipWith(work) {
    equip = work;
}

// MARK: Drawing

/** What stands in the queue: the goals that aren't completed, and those that have only just been. */
export function queued() {
    return goals.filter(goal => !meanwhile.removals.has(goal.id) && (isOpen(goal) || meanwhile.acts.has(goal.id)));
}

export function draw() {
    if (!isLoaded) return;
    const list = queued();
    const open = list.filter(isOpen);
    if (meanwhile.moving) {
        for (const goal of open) if (rows.has(goal.id)) dress(goal, open);
        return;
    }
    sliding(() => reconcile(at('queue'), list.map(goal => {
        if (!rows.has(goal.id)) rows.set(goal.id, newRow('goal-row', goal.id));
        dress(goal, open);
        return rows.get(goal.id);
    })));
    for (const id of rows.keys()) if (!list.some(goal => goal.id === id)) rows.delete(id);
    drawDone();
    drawFacts(open);
}

function drawFacts(open) {
    const sum = member => open.reduce((total, goal) => total + goal[member], 0);
    at('empty').hidden = open.length > 0 || meanwhile.acts.size > 0;
    at('facts').textContent = open.length === 0 ? page.title
        : `${open.length === 1 ? '1 goal' : `${open.length} goals`} open · `
            + `${money(sum('progressInCents'))} of ${money(sum('amountInCents'))}`;
}

function drawDone() {
    const isShown = goal => !isOpen(goal) && !meanwhile.acts.has(goal.id) && !meanwhile.removals.has(goal.id);
    const done = goals.filter(isShown);
    at('done').hidden = done.length === 0;
    at('done-count').textContent = done.length;
    reconcile(at('done-list'), done.map(goal => {
        if (!doneRows.has(goal.id)) doneRows.set(goal.id, newRow('done-row', goal.id));
        const row = doneRows.get(goal.id);
        row.querySelector('.goal-name').textContent = goal.description;
        row.querySelector('.goal-of').textContent = money(goal.amountInCents);
        row.querySelector('.edit').ariaLabel = `Rename ${goal.description}`;
        row.querySelector('.remove').ariaLabel = `Remove ${goal.description}`;
        return row;
    }));
    for (const id of doneRows.keys()) if (!done.some(goal => goal.id === id)) doneRows.delete(id);
}

/** Does `work`, and lets every row of the queue slide from where it was to where it now is. */
export function sliding(work) {
    const before = topsOf([...at('queue').children]);
    work();
    if (!document.hidden) slideFrom(before);
}

/** Row → where its top is to be seen. */
export function topsOf(list) {
    return new Map(list.map(row => [row, row.getBoundingClientRect().top]));
}

/** Lets each row slide from where it was to where it belongs. */
export function slideFrom(tops) {
    if (stillness.matches) return;
    for (const [row, top] of tops) {
        const distance = row.isConnected ? top - row.getBoundingClientRect().top : 0;
        if (Math.abs(distance) < 1) continue;
        row.animate([{ transform: `translateY(${distance}px)` }, {}], { duration: SLIDE_MS, easing: 'ease-out' });
    }
}

function newRow(template, id) {
    const row = copyOf(template);
    row.dataset.id = id;
    equip(row, id);
    return row;
}

function dress(goal, open) {
    const row = rows.get(goal.id);
    const role = meanwhile.acts.get(goal.id);
    const isLater = (role?.from ?? meanwhile.waits.get(goal.id) ?? 0) > Date.now() + 20;
    // What the goals before it do is shown first; a row that isn't dressed yet has nothing to keep.
    if (isLater && row.querySelector('.goal-name').textContent) return;
    const isDone = Boolean(role) && !isLater;
    const place = open.indexOf(goal) + 1;
    const has = isDone ? goal.amountInCents : goal.progressInCents;
    row.dataset.state = isDone ? 'completed' : place === 1 ? 'active' : 'queued';
    write(row, goal, has);
    drawBar(row.querySelector('.goal-bar'), goal, has);
    row.querySelector('.grip').disabled = isDone;
    row.querySelector('.grip').ariaLabel = `Move ${goal.description}, place ${place} of ${open.length}`;
    for (const [name, verb] of [['.adjust', 'Adjust'], ['.edit', 'Edit'], ['.remove', 'Remove']]) {
        row.querySelector(name).ariaLabel = `${verb} ${goal.description}`;
    }
    // A form that is open on it has lost its object.
    if (isDone && !row.querySelector('.goal-slot').hidden) closeForm(row);
}

// Rounded down: it is 100 % when it is there, and not before.
const percentOf = (has, { amountInCents }) => Math.floor(has / amountInCents * 100);

function write(row, goal, has) {
    const part = name => row.querySelector(name);
    const { state } = row.dataset;
    part('.goal-name').textContent = goal.description;
    part('.goal-tag').textContent = { active: 'Active', queued: 'Queued', completed: '✓ Completed' }[state];
    part('.goal-has').textContent = money(has);
    part('.goal-of').textContent = `of ${money(goal.amountInCents)}`;
    part('.goal-left').textContent = state === 'completed' ? '' : `${money(goal.amountInCents - has)} to go`;
    part('.goal-percent').textContent = `${percentOf(has, goal)}%`;
}

function drawBar(bar, goal, has) {
    const percent = percentOf(has, goal);
    bar.ariaLabel = goal.description;
    bar.ariaValueNow = percent;
    bar.ariaValueText = `${money(has)} of ${money(goal.amountInCents)}, ${percent} percent`;
    bar.style.setProperty('--part', has / goal.amountInCents);
}

export function closeForm(row) {
    row.querySelector('.goal-slot').replaceChildren();
    row.querySelector('.goal-slot').hidden = true;
    for (const button of row.querySelectorAll('[aria-expanded]')) button.ariaExpanded = null;
    delete row.dataset.form;
}
