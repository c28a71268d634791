/** Removing goals, with a way back: for some seconds it is only hidden, and can be had back by a click or Ctrl+Z. */
import { call, Refusal } from './api.js';
import { at, copyOf } from './document.js';
import { change, goals, isOpen, money, pathOf, take, UNREACHED } from './goal-list.js';
import { closeForm, doneRows, draw, meanwhile, rows } from './goal-rows.js';
import { announce } from './goal-voice.js';
import { complain } from './shell.js';

const UNDO_MS = 8_000;
const { removals } = meanwhile;

export function remove(goal, row) {
    closeForm(row);
    const toast = copyOf('toast');
    const undoButton = toast.querySelector('.undo');
    toast.querySelector('p').textContent = goal.progressInCents && isOpen(goal)
        ? `“${goal.description}” is removed, and its ${money(goal.progressInCents)} with it.`
        : `“${goal.description}” is removed.`;
    undoButton.ariaLabel = `Undo: keep ${goal.description}`;
    undoButton.addEventListener('click', () => undo(goal.id));
    removals.set(goal.id, { goal, toast, timer: setTimeout(() => carryOut(goal.id), UNDO_MS) });
    at('toasts').append(toast);
    draw();
    // The button that was pressed is gone; this one is what one may want next.
    undoButton.focus({ preventScroll: true });
}

function undo(id) {
    const { goal } = dismiss(id);
    draw();
    announce(`${goal.description} is kept`);
    const row = rows.get(id) ?? doneRows.get(id);
    row?.querySelector('.remove').focus();
}

/** Takes the latest back, and says whether there was one. */
export function undoLatest() {
    const latest = [...removals.keys()].at(-1);
    if (latest) undo(latest);
    return Boolean(latest);
}

function dismiss(id) {
    const removal = removals.get(id);
    clearTimeout(removal.timer);
    removals.delete(id);
    if (removal.toast.contains(document.activeElement)) focusNearby(removal.toast);
    removal.toast.remove();
    return removal;
}

function focusNearby(toast) {
    const other = [...at('toasts').children].filter(each => each !== toast).at(-1);
    (other?.querySelector('.undo') ?? at('goals-title')).focus({ preventScroll: true });
}

async function carryOut(id) {
    const { goal } = removals.get(id);
    try {
        await change(() => call('DELETE', pathOf(goal)));
        forget([id]);
    } catch (error) {
        // Somebody else was faster.
        if (error instanceof Refusal && error.status === 404) forget([id]);
        else complain(`“${goal.description}” is still there. ${error instanceof Refusal ? error.message : UNREACHED}`);
    }
    if (removals.has(id)) dismiss(id);
    draw();
}

/** The view is left: what was removed in it is removed. Such a request outlives the document. */
export function carryOutAll() {
    for (const { goal, timer, toast } of removals.values()) {
        clearTimeout(timer);
        toast.remove();
        fetch(`/api/v1/${pathOf(goal)}`, { method: 'DELETE', keepalive: true });
    }
    const ids = [...removals.keys()];
    removals.clear();
    if (ids.length > 0) forget(ids);
}

function forget(ids) {
    take(goals.filter(goal => !ids.includes(goal.id)));
}
