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

    // An exception here is a trap, which costs all answers of the call.
    transform({ count, values }) {
        const texts = cut(values);
        const outcomes = [];
        const answers = [];
        for (let row = 0; row < count; row++) {
            const value = (at) => texts[row * width + at];
            const whole = joined.map(value).join(separator);
            answers.push(...kept.map((at) => (at === joined[0] ? whole : value(at))));
            outcomes.push({ tag: "labels" });
        }
        return { outcomes, values: put(answers) };
    },
};

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
