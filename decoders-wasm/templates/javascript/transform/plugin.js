// `my-plugin`: joins labels of a row into one.
//
// Settings:
//
//   labels: [source, destination]  # which, at least two; the first gives its place to the joined one
//   to: path                       # the name of the joined one
//   separator: "-"                 # what stands between their values; a hyphen if it is left out

let width; // how many labels a row comes with
let joined; // which of them are joined, by their places
let kept; // which of them leave, the first of the joined for all of them
let separator;

export const transforming = {
    // A text that is thrown is shown by the exporter, which does not start then.
    configure(settings, metric) {
        const { labels, to, separator: between = "-", ...unknown } = JSON.parse(settings);
        for (const key of Object.keys(unknown)) {
            throw `settings: "${key}" is unknown; there are labels, to and separator`;
        }
        if (!Array.isArray(labels) || labels.length < 2) {
            throw "labels: name two labels or more";
        }
        if (typeof to !== "string" || typeof between !== "string") {
            throw "to and separator: each has to be a text";
        }
        width = metric.labels.length;
        joined = labels.map((label) => place(label, metric));
        kept = [...metric.labels.keys()].filter((at) => !joined.slice(1).includes(at));
        separator = between;
        return kept.map((at) => (at === joined[0] ? to : metric.labels[at]));
    },

    // An exception that leaves this is a trap. It costs all answers of the call, and nobody sees its text.
    transform({ count, values }) {
        const texts = cut(values);
        const outcomes = [];
        const answers = [];
        for (let row = 0; row < count; row++) {
            try {
                answers.push(...joinedRow(texts.slice(row * width, (row + 1) * width)));
                // { tag: "drop" } leaves the row out: it has no answers then.
                outcomes.push({ tag: "labels" });
            } catch (problem) {
                outcomes.push({ tag: "error", val: told(problem) });
            }
        }
        return { outcomes, values: put(answers) };
    },
};

function joinedRow(row) {
    const whole = joined.map((at) => row[at]).join(separator);
    return kept.map((at) => (at === joined[0] ? whole : row[at]));
}

// What was thrown: a text, or an error with the place that it is from.
function told(problem) {
    const place = problem instanceof Error ? problem.stack.split("\n")[0].trim() : "";
    return `${problem} ${place}`.trim();
}

function place(label, { name, labels }) {
    const at = labels.indexOf(label);
    if (at < 0) {
        throw `metric ${name} has no label ${JSON.stringify(label)}; name one of: ${labels.join(", ")}`;
    }
    return at;
}

// The texts of a buffer. Their ends count bytes of UTF-8, and texts of JavaScript have UTF-16.
function cut({ text, ends }) {
    let [at, bytes] = [0, 0];
    return Array.from(ends, (end) => {
        const start = at;
        while (bytes < end) {
            const character = text.codePointAt(at);
            bytes += length(character);
            at += character > 0xffff ? 2 : 1;
        }
        return text.slice(start, at);
    });
}

// The buffer of these texts.
function put(texts) {
    let bytes = 0;
    const ends = texts.map((text) => {
        for (const character of text) {
            bytes += length(character.codePointAt(0));
        }
        return bytes;
    });
    return { text: texts.join(""), ends: Uint32Array.from(ends) };
}

// How many bytes of UTF-8 a character has.
function length(character) {
    return character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
}
