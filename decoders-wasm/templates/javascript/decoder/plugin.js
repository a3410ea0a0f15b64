// `my-plugin`: a text → the name that the settings have for it.
//
// Settings, which may all be left out:
//
//   names: {bash: shell, sh: shell}  # text: name
//   default: other                   # for texts without a name; without it, such a text is an error

let names;
let fallback;

export const decoding = {
    // A text that is thrown is shown by the exporter, which does not start then.
    configure(settings) {
        const { names: given = {}, default: other, ...unknown } = JSON.parse(settings);
        for (const key of Object.keys(unknown)) {
            throw `settings: "${key}" is unknown; there are names and default`;
        }
        if (given === null || typeof given !== "object" || Array.isArray(given)) {
            throw "names: has to be a mapping of texts to names";
        }
        if (Object.values(given).some((name) => typeof name !== "string")) {
            throw "names: each name has to be a text";
        }
        if (other !== undefined && typeof other !== "string") {
            throw "default: has to be a text";
        }
        names = new Map(Object.entries(given).map(([text, name]) => [asBytes(text), name]));
        fallback = other;
    },

    // An exception that leaves this is a trap. It costs all answers of the call, and nobody sees its text.
    decode({ bytes, ends }) {
        let start = 0;
        return ends.map((end) => {
            const input = bytes.subarray(start, end);
            start = end;
            return answer(input);
        });
    },
};

function answer(input) {
    try {
        return { tag: "label", val: nameOf(input) };
    } catch (problem) {
        return { tag: "error", val: told(problem) };
    }
}

// A text that is thrown is the error of this input.
function nameOf(input) {
    const name = names.get(asText(input)) ?? fallback;
    if (name === undefined) {
        throw "it has no name, and there is no default";
    }
    return name;
}

// What was thrown: a text, or an error with the place that it is from.
function told(problem) {
    const place = problem instanceof Error ? problem.stack.split("\n")[0].trim() : "";
    return `${problem} ${place}`.trim();
}

// Texts are compared as bytes, each a character: QuickJS has no TextDecoder.
function asText(bytes) {
    let text = "";
    for (const byte of bytes) {
        text += String.fromCharCode(byte);
    }
    return text;
}

// The bytes of a text's UTF-8 in that form.
function asBytes(text) {
    return unescape(encodeURIComponent(text));
}
