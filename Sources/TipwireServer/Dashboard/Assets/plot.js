/**
 * Drawings made of numbers: SVG, in as many pixels as there is room for, so that text and lines stay as sharp and as
 * big as they should be.
 *
 * Nothing is told by colour alone: shares of a bar differ by pattern, marks by shape, and every bar says its value when
 * it is pointed at or has the focus. A drawing is one stop of the Tab key; arrows go from bar to bar. It knows nothing
 * of tips: texts come ready from the caller.
 */

const SVG = 'http://www.w3.org/2000/svg';
// Bars nearer than this would touch where they should be told apart.
const GAP_RATIO = 0.25;
const WIDEST_BAR = 56;
const CORNER = 3;
const ROW_HEIGHT = 46;
// About the width of a character of the labels, which are 12 pixels high. Wrong by a little does no harm.
const CHARACTER = 6.6;

function element(name, attributes = {}, ...children) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
}

function text(content, attributes) {
    return element('text', attributes, content);
}

/** Round steps from 0 to at least `most`, about `count` of them: 1, 2 or 5 times a power of ten, and whole. */
export function ticks(most, count) {
    const rough = Math.max(most, 1) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].find(factor => factor * power >= rough) * power);
    const last = Math.ceil(Math.max(most, 1) / step);
    return Array.from({ length: last + 1 }, (_, index) => index * step);
}

/**
 * Upright bars over time.
 *
 * `bars` are `{value, part?, label, short, note?, mark?, isOpen?}`: `part` is the share of `value` at the top that is
 * drawn striped, `label` what is said of the bar, `short` what may stand below it (left out where there is no room),
 * `note` what may stand above it, `mark` whether a flag stands over it, `isOpen` whether its time isn't over.
 * `axis(value)` gives the text of a line. `stop()` of what is returned ends the watch over the room there is.
 */
export function columns(host, { bars, axis, title }) {
    const most = Math.max(...bars.map(bar => bar.value));
    return standing(host, title, width => {
        const height = width < 480 ? 220 : 280;
        const lines = ticks(most, 4);
        const top = lines.at(-1);
        const names = lines.map(axis);
        const left = Math.ceil(Math.max(...names.map(name => name.length)) * CHARACTER) + 12;
        const area = { left, right: width - 4, top: 30, bottom: height - 26 };
        const y = value => area.bottom - (value / top) * (area.bottom - area.top);
        const slot = (area.right - area.left) / bars.length;
        const wide = Math.min(WIDEST_BAR, slot < 4 ? slot : slot * (1 - GAP_RATIO));

        const grid = element('g', { 'aria-hidden': 'true' });
        lines.forEach((value, index) => {
            const level = Math.round(y(value)) + 0.5;
            grid.append(
                element('line', {
                    class: value ? 'plot-grid' : 'plot-base', x1: area.left, x2: area.right, y1: level, y2: level,
                }),
                text(names[index], { class: 'plot-text', x: area.left - 8, y: level + 4, 'text-anchor': 'end' }));
        });
        const named = stride(bars.map(bar => bar.short), slot);
        const room = Math.floor(slot / CHARACTER);
        const showsNotes = bars.every(bar => !bar.note || bar.note.length <= room);
        const tallest = bars.findIndex(bar => bar.value === most);

        const drawn = bars.map((bar, index) => {
            const middle = area.left + slot * (index + 0.5);
            const x = middle - wide / 2;
            const group = target(bar.label, area.left + slot * index, area.top - 26, slot, area.bottom - area.top + 26);
            if (bar.value > 0) {
                const whole = Math.max(2, area.bottom - y(bar.value));
                const part = bar.part ? Math.min(whole - 1, area.bottom - y(bar.part)) : 0;
                group.append(element('path', {
                    class: bar.isOpen ? 'plot-bar is-open' : 'plot-bar',
                    d: column(x, area.bottom - whole, wide, whole),
                }));
                if (part > 1 && wide > 3) {
                    group.append(element('path', {
                        class: 'plot-part', fill: `url(#${patternName(host)})`,
                        d: column(x, area.bottom - whole, wide, part),
                    }));
                }
            }
            const head = bar.value > 0 ? Math.min(area.bottom - 2, y(bar.value)) : area.bottom;
            const isNoted = bar.note && bar.value > 0 && (showsNotes || index === tallest);
            if (isNoted) {
                const half = bar.note.length * CHARACTER / 2;
                const spot = Math.min(area.right - half, Math.max(area.left + half, middle));
                group.append(text(bar.note, { class: 'plot-note', x: spot, y: head - 6, 'text-anchor': 'middle' }));
            }
            if (bar.mark) group.append(flag(middle, head - (isNoted ? 20 : 4)));
            if (named.has(index)) {
                // The last one would stand out at the edge, where its slot is narrower than itself.
                const spot = Math.min(middle, width - bar.short.length * CHARACTER / 2);
                grid.append(text(bar.short, {
                    class: 'plot-text', x: spot, y: area.bottom + 18, 'text-anchor': 'middle',
                }));
            }
            group.plotAnchor = { x: middle, y: head - (bar.mark ? 16 : 0) };
            return group;
        });
        return { height, parts: [stripes(host), grid, ...drawn], drawn };
    });
}

/**
 * Lying bars, the longest first: `{value, name, note, label, isMuted?}`. The name stands above its bar, so that a long
 * one has the whole width, and what it comes to at the end of the same line.
 */
export function rows(host, { bars, title }) {
    const most = Math.max(1, ...bars.map(bar => bar.value));
    return standing(host, title, width => {
        const fits = [];
        const drawn = bars.map((bar, index) => {
            const top = index * ROW_HEIGHT + 2;
            const group = target(bar.label, 0, top, width, ROW_HEIGHT - 4);
            const name = text(bar.name, {
                class: bar.isMuted ? 'plot-name is-muted' : 'plot-name', x: 0, y: top + 16,
            });
            const note = text(bar.note, { class: 'plot-note', x: width, y: top + 16, 'text-anchor': 'end' });
            fits.push(() => fit(name, note, width));
            group.append(
                name, note,
                element('rect', { class: 'plot-track', x: 0, y: top + 24, width, height: 10, rx: CORNER }),
                element('rect', {
                    class: 'plot-bar', x: 0, y: top + 24, height: 10, rx: CORNER,
                    width: bar.value ? Math.max(3, width * bar.value / most) : 0,
                }));
            return group;
        });
        return { height: bars.length * ROW_HEIGHT, parts: drawn, drawn, shown: () => fits.forEach(each => each()) };
    });
}

// MARK: Parts

/** What takes pointer and focus: its whole slot, for a small bar is hard to hit. */
function target(label, x, y, width, height) {
    const group = element('g', { class: 'plot-item', role: 'img', tabindex: '-1', 'aria-label': label });
    group.append(element('rect', { class: 'plot-slot', x, y, width, height, rx: CORNER }));
    return group;
}

/** A rectangle with round corners at the top. */
function column(x, y, width, height) {
    const round = Math.min(CORNER, width / 2, height);
    const foot = y + height;
    return `M${x},${foot}V${y + round}q0,${-round} ${round},${-round}h${width - 2 * round}`
        + `q${round},0 ${round},${round}V${foot}Z`;
}

function flag(x, y) {
    return element('path', { class: 'plot-flag', d: `M${x},${y}l-5,-5l5,-5l5,5Z` });
}

function patternName(host) {
    return `${host.id}-stripes`;
}

function stripes(host) {
    return element('defs', {}, element('pattern', {
        id: patternName(host), width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)',
    },
    element('rect', { class: 'plot-stripe-ground', width: 5, height: 5 }),
    element('rect', { class: 'plot-stripe', width: 2, height: 5 })));
}

/** Which of the labels have room: all, or every second, or every third of them, counted from the end: that is now. */
function stride(labels, slot) {
    const spots = labels.flatMap((label, index) => (label ? [index] : []));
    const widest = Math.max(...labels.map(label => label.length)) * CHARACTER;
    const distance = spots.length > 1 ? (spots.at(-1) - spots[0]) / (spots.length - 1) * slot : Infinity;
    const step = Math.max(1, Math.ceil((widest + 12) / distance));
    return new Set(spots.filter((_, index) => (spots.length - 1 - index) % step === 0));
}

/** Cuts a name short until it fits beside its note. Can be measured only where it is shown. */
function fit(name, note, width) {
    const room = width - note.getComputedTextLength() - 16;
    const whole = name.textContent;
    const letters = Array.from(whole);
    while (letters.length > 1 && name.getComputedTextLength() > room) {
        // By the share that is too much, or at least one: a few rounds, however long it is.
        const share = Math.min(1, room / name.getComputedTextLength());
        letters.length = Math.max(1, Math.min(letters.length - 1, Math.ceil(letters.length * share)));
        name.textContent = `${letters.join('').trimEnd()}…`;
    }
    if (name.textContent !== whole) name.parentNode.append(element('title', {}, whole));
}

// MARK: Standing in a document

/** Draws into `host` by `draw(width)` and again at each change of its width. Keeps the focus where it was. */
function standing(host, title, draw) {
    let width = 0;
    let current = 0;
    const bubble = document.createElement('p');
    bubble.className = 'plot-bubble';
    bubble.hidden = true;
    // What it says, the bar's label says already.
    bubble.ariaHidden = 'true';

    const render = () => {
        width = Math.max(240, Math.floor(host.clientWidth));
        const hadFocus = host.contains(document.activeElement);
        const { height, parts, drawn, shown } = draw(width);
        const svg = element('svg', {
            class: 'plot', role: 'group', 'aria-label': `${title}. Arrow keys go from bar to bar.`,
            viewBox: `0 0 ${width} ${height}`, width, height,
        }, ...parts);
        current = Math.min(current, drawn.length - 1);
        const first = hadFocus ? current : drawn.length - 1;
        enter(drawn, first, hadFocus);
        follow(svg, drawn);
        bubble.hidden = true;
        host.replaceChildren(svg, bubble);
        shown?.();
        if (hadFocus) drawn[current]?.focus();
    };

    const enter = (drawn, index, moves) => {
        drawn[current]?.setAttribute('tabindex', '-1');
        current = Math.max(0, Math.min(drawn.length - 1, index));
        drawn[current]?.setAttribute('tabindex', '0');
        if (moves) drawn[current]?.focus();
    };

    const follow = (svg, drawn) => {
        const itemOf = event => event.target.closest?.('.plot-item');
        svg.addEventListener('keydown', event => {
            const to = { ArrowLeft: current - 1, ArrowUp: current - 1, ArrowRight: current + 1,
                ArrowDown: current + 1, Home: 0, End: drawn.length - 1 }[event.key];
            if (event.key === 'Escape') bubble.hidden = true;
            if (to === undefined) return;
            event.preventDefault();
            enter(drawn, to, true);
        });
        svg.addEventListener('focusin', event => {
            const item = itemOf(event);
            if (!item) return;
            enter(drawn, drawn.indexOf(item), false);
            say(item);
        });
        svg.addEventListener('focusout', () => { bubble.hidden = true; });
        svg.addEventListener('pointerover', event => {
            const item = itemOf(event);
            if (item) say(item);
        });
        svg.addEventListener('pointerleave', () => {
            const focused = drawn.find(item => item === document.activeElement);
            if (focused) say(focused); else bubble.hidden = true;
        });
    };

    const say = item => {
        if (!item.plotAnchor) return;
        bubble.textContent = item.getAttribute('aria-label');
        bubble.hidden = false;
        const half = bubble.offsetWidth / 2;
        const x = Math.max(half, Math.min(width - half, item.plotAnchor.x));
        bubble.style.setProperty('--x', `${Math.round(x - half)}px`);
        bubble.style.setProperty('--y', `${Math.round(Math.max(0, item.plotAnchor.y - bubble.offsetHeight - 10))}px`);
    };

    const observer = new ResizeObserver(() => {
        if (Math.floor(host.clientWidth) !== width && host.clientWidth > 0) render();
    });
    current = Number.MAX_SAFE_INTEGER;
    render();
    observer.observe(host);
    return { stop: () => observer.disconnect() };
}
