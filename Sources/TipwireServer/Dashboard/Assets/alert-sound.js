/**
 * The sounds of an alert, made by WebAudio: no file to load, to license, or to be missing.
 *
 * The audio device is opened at the first sound and rests after each, so that an idle overlay costs nothing.
 */

const REST_MS = 400;

/** Each is `[frequency in Hz, begins at s, lasts s, loudness, wave]`. */
const SOUNDS = {
    // A small bell: a chord rolled upwards, with the slightly sharp upper partials that make metal.
    chime: [
        [783.99, 0, 1.6, 0.5, 'sine'], [1046.5, 0.09, 1.6, 0.45, 'sine'], [1567.98, 0.18, 2, 0.4, 'sine'],
        [2164, 0.18, 0.5, 0.1, 'sine'], [3150, 0.18, 0.25, 0.06, 'sine'], [4703, 0.18, 0.15, 0.03, 'sine'],
    ],
    // Two quick notes, a fourth apart, as of a coin in a game.
    coin: [[987.77, 0, 0.09, 0.22, 'square'], [1318.51, 0.085, 0.7, 0.22, 'square']],
};

export class AlertSound {
    #notes;
    #volume;
    #context = null;
    #output = null;
    #rest = 0;

    /** `sound`: `chime`, `coin` or `off`; `volume` from 0 to 100. */
    constructor(sound, volume) {
        this.#notes = volume > 0 ? SOUNDS[sound] : undefined;
        // Ears hear ratios: squared, the middle of the slider sounds like half.
        this.#volume = (volume / 100) ** 2;
    }

    async play() {
        if (!this.#notes) return;
        clearTimeout(this.#rest);
        try {
            this.#context ??= new AudioContext();
            // Outside OBS a browser wants a click first; the promise then waits, and the alert must not.
            const isRunning = this.#context.state === 'running' || await settled(this.#context.resume());
            if (isRunning) this.#strike();
        } catch {
            // No sound card, or no right to it: the alert is still seen.
        }
    }

    stop() {
        this.#output?.disconnect();
        this.#output = null;
        this.#restAfter(0);
    }

    #strike() {
        this.#output?.disconnect();
        const output = new GainNode(this.#context, { gain: this.#volume });
        output.connect(this.#context.destination);
        this.#output = output;
        const start = this.#context.currentTime + 0.02;
        for (const note of this.#notes) this.#sound(note, start, output);
        this.#restAfter(Math.max(...this.#notes.map(([, at, length]) => at + length)) * 1000 + REST_MS);
    }

    #sound([frequency, at, length, loudness, type], start, output) {
        const tone = new OscillatorNode(this.#context, { frequency, type });
        const envelope = new GainNode(this.#context, { gain: 0 });
        tone.connect(envelope).connect(output);
        const begin = start + at;
        envelope.gain.setValueAtTime(0, begin);
        envelope.gain.linearRampToValueAtTime(loudness, begin + 0.008);
        envelope.gain.exponentialRampToValueAtTime(0.0001, begin + length);
        tone.start(begin);
        tone.stop(begin + length);
    }

    #restAfter(milliseconds) {
        clearTimeout(this.#rest);
        this.#rest = setTimeout(() => this.#context?.suspend(), milliseconds);
    }
}

function settled(promise) {
    return Promise.race([
        promise.then(() => true),
        new Promise(resolve => { setTimeout(resolve, 300, false); }),
    ]);
}
