/** Amounts: integers of minor units inside, text outside, never a fraction in between. */

// ISO 4217, as the server counts. Not `Intl`'s own digits: those are CLDR's habits of cash (HUF 0, IQD 0), and
// with them 500 forint would show as 50,000.
const DIGITS = new Map([
    ...codes('BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF', 0),
    ...codes('BHD IQD JOD KWD LYD OMR TND', 3),
    ...codes('CLF UYW', 4),
]);
const formatters = new Map();

function codes(list, digits) {
    return list.split(' ').map(code => [code, digits]);
}

function minorDigits(currency) {
    return DIGITS.get(currency) ?? 2;
}

/** `500` of USD is `5.00`, of JPY `500`, of KWD `0.500`. */
export function decimal(minorUnits, currency) {
    const digits = minorDigits(currency);
    const text = String(minorUnits).padStart(digits + 1, '0');
    return digits ? `${text.slice(0, -digits)}.${text.slice(-digits)}` : text;
}

/** As the reader's language writes it. `Intl` takes the decimal text as it is, without a floating-point number. */
export function formatted(minorUnits, currency) {
    if (!formatters.has(currency)) formatters.set(currency, formatter(currency));
    return formatters.get(currency).format(decimal(minorUnits, currency));
}

function formatter(currency) {
    const digits = minorDigits(currency);
    return new Intl.NumberFormat(undefined, {
        style: 'currency', currency, minimumFractionDigits: digits, maximumFractionDigits: digits,
    });
}

/** Minor units of what a person typed (`5`, `5.00`, `5,00`), or null if it is no amount of this currency. */
export function minorUnits(text, currency) {
    const digits = minorDigits(currency);
    const match = /^(\d{1,15})(?:[.,](\d*))?$/.exec(text.trim());
    const fraction = match?.[2] ?? '';
    if (!match || fraction.length > digits) return null;
    const units = Number(match[1] + fraction.padEnd(digits, '0'));
    return Number.isSafeInteger(units) && units > 0 ? units : null;
}

/** Why `minorUnits` takes it for none, and what would do. */
export function amountProblem(text, currency) {
    if (/^[\s.,]*0[\s.,0]*$/.test(text)) return 'Enter more than 0.';
    const digits = minorDigits(currency);
    const example = digits ? `5 or ${decimal(Number('45'.padEnd(digits + 1, '0')), currency)}` : '5 or 450';
    return `Enter an amount in ${currency}, like ${example}.`;
}

/** As the server has it, in minor units. */
const LARGEST_TIP = 100_000_000;

/** `{units}` of a tip that a person typed, or `{problem}`, in words. */
export function tipAmount(text, currency) {
    const units = minorUnits(text, currency);
    if (!units) return { problem: amountProblem(text, currency) };
    return units > LARGEST_TIP ? { problem: `A tip is ${formatted(LARGEST_TIP, currency)} at most.` } : { units };
}
