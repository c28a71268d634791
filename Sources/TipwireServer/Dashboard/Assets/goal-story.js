/**
 * What tips do to the goals, as it happens: heard from the Event Hook stream, and told as the chain of goals that one
 * tip completed. Events only say that it is time to read the list again, and what to show on the way.
 */
import { at } from './document.js';
import { backoff } from './feed.js';
import { goalOf, isHeard, money, page, readSoon } from './goal-list.js';
import { draw, meanwhile, rows, SLIDE_MS, stillness } from './goal-rows.js';
import { announce } from './goal-voice.js';

// Between the goals of a chain, and how long the last of them stays where it was.
const STEP_MS = 700;
const STAY_MS = 2_200;
// More completions at once than this just happen: nobody can follow them.
const SHOW_LIMIT = 20;
// The events of one tip come right after each other, and are one story.
const STORY_MS = 60;

// MARK: The stream

const stream = { source: null, timer: 0, attempt: 0 };

export function openStream() {
    closeStream();
    if (document.hidden || !isHeard(page)) return showState(isHeard(page) ? 'connecting' : 'unheard');
    showState('connecting');
    const query = new URLSearchParams({ page: page.slug, since: 'now' });
    stream.source = new EventSource(`/api/tip-events/stream?${query}`);
    stream.source.onmessage = ({ data }) => hear(JSON.parse(data));
    // Not left to the browser: after some failures it gives up for good, and after others it comes back at once.
    stream.source.onerror = loseStream;
}

export function closeStream() {
    clearTimeout(stream.timer);
    stream.source?.close();
    stream.source = null;
}

function loseStream() {
    closeStream();
    showState('waiting');
    stream.timer = setTimeout(openStream, backoff(stream.attempt++));
    // Where no stream gets through, the list is at least as true as we try often.
    readSoon();
}

function hear(event) {
    switch (event.type) {
        case 'connected':
            stream.attempt = 0;
            showState('live');
            break;
        case 'tip:received':
            tell({ tip: event, steps: [] });
            announce(`${event.displayName} tipped ${money(event.amount)}`);
            break;
        case 'tip:goal-completed':
            // Whoever came in the middle has not heard of the tip; the first of a chain begins the story anew.
            tell({ tip: story?.tip, steps: event.chainIndex === 0 || !story ? [event] : [...story.steps, event] });
            act(event);
            announce(`Goal completed: ${event.goalName}`);
            break;
        case 'tip:overflow-chain':
            announce(`One tip of ${money(event.totalAmount)} completed ${event.goalsCompleted} goals`);
            break;
    }
    readSoon();
}

function showState(name) {
    const words = {
        live: 'Live', connecting: 'Connecting…', waiting: 'Reconnecting…',
        unheard: 'Not live: another account’s page',
    };
    at('state').hidden = false;
    at('state').dataset.state = name;
    at('state-text').textContent = words[name];
}

// MARK: The chain

/** The latest tip, and what it has completed so far. */
let story = null;
let storyTimer = 0;

function tell(told) {
    story = told;
    storyTimer ||= setTimeout(() => {
        storyTimer = 0;
        drawStory();
    }, STORY_MS);
}

function drawStory() {
    const { tip, steps } = story;
    at('story').hidden = false;
    at('story-who').textContent = tip ? `${tip.displayName} tipped ${money(tip.amount)}` : 'A tip';
    const name = tip?.goalId && goalOf(tip.goalId)?.description;
    at('story-what').textContent = steps.length > 1 ? `and completed ${steps.length} goals`
        : steps.length ? 'and completed a goal'
            : name ? `to “${name}”` : 'beyond all goals';
    const links = linksOf(steps);
    at('chain').hidden = links.length === 0;
    at('chain').replaceChildren(...links);
}

/** The goals that were completed, and where the rest of the tip went. */
function linksOf(steps) {
    const links = steps.map(({ goalName, goalTarget }, index) => link('is-done', goalName, money(goalTarget), index));
    const { nextGoal, overflowAmount } = steps.at(-1) ?? {};
    if (!overflowAmount) return links;
    return [...links, nextGoal
        ? link('is-next', nextGoal.description, `+ ${money(overflowAmount)}`, steps.length)
        : link('is-over', 'beyond all goals', money(overflowAmount), steps.length)];
}

function link(look, name, amount, index) {
    const item = document.createElement('li');
    const title = document.createElement('span');
    item.className = look;
    item.style.setProperty('--delay', `${index * STEP_MS}ms`);
    title.className = 'chain-name';
    title.textContent = name;
    const note = document.createElement('span');
    note.className = 'chain-amount';
    note.textContent = amount;
    item.append(title, note);
    return item;
}

// MARK: In the queue

/** Shows the goal as completed, in its turn, before it leaves the queue. */
function act({ goalId, nextGoal, chainIndex, chainTotal }) {
    if (meanwhile.acts.size >= SHOW_LIMIT || !rows.has(goalId)) return;
    const step = stillness.matches ? 0 : STEP_MS;
    const first = Date.now();
    const from = first + chainIndex * step;
    const until = first + chainTotal * step + STAY_MS;
    meanwhile.acts.set(goalId, { from, until });
    setTimeout(draw, from - first);
    setTimeout(() => leave(goalId), until - first);
    if (nextGoal && step) {
        meanwhile.waits.set(nextGoal.id, from + step);
        setTimeout(() => {
            meanwhile.waits.delete(nextGoal.id);
            draw();
        }, from + step - first);
    }
}

async function leave(id) {
    const row = rows.get(id);
    if (row?.isConnected && !stillness.matches && !document.hidden) {
        const away = { opacity: 0, transform: 'translateY(0.75rem) scale(0.98)' };
        await row.animate([{}, away], { duration: SLIDE_MS, easing: 'ease-in', fill: 'forwards' }).finished;
        row.remove();
        rows.delete(id);
    }
    meanwhile.acts.delete(id);
    draw();
}
