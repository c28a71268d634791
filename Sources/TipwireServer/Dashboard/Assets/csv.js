/** Tables as files that a spreadsheet opens: RFC 4180, and safe to open. */

// A spreadsheet would run a cell that begins like this as a formula, and names and messages come from strangers.
const FORMULA = /^[=+\-@\t\r]/;
// Without it Excel reads UTF-8 as something else, and Zoë comes out broken.
const BYTE_ORDER_MARK = '\ufeff';

/** Offers the table as a file. Numbers stay numbers; everything else is text. */
export function downloadCSV(name, header, rows) {
    const file = new Blob([BYTE_ORDER_MARK, csv(header, rows)], { type: 'text/csv;charset=utf-8' });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(file);
    link.download = name;
    link.click();
    // The click only begins the download: its address must last until the browser has looked at it.
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function csv(header, rows) {
    return [header, ...rows].map(row => `${row.map(cell).join(',')}\r\n`).join('');
}

function cell(value) {
    if (value === null || value === undefined) return '';
    if (typeof value === 'number') return String(value);
    const text = String(value);
    const harmless = FORMULA.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
