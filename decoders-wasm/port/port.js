// `port`: a TCP or UDP port → the name of the smallest range that holds it, or its number.
//
// The input is the 2 bytes of a port.
//
// Settings:
//
//   order: network             # the bytes' order: network (as in a packet, the default) or host
//   names:                     # port, or first-last: name
//     "22": ssh
//     "8000-8999": http-alt
//     "8080": proxy            # the smallest range that holds a port wins, of two the later one
//     "32768-60999": ephemeral
//   default: other             # for ports without a name; without it, their number
//
// All may be left out.

const LARGEST = 65535;

let order;
let names;
let fallback;

export const decoding = {
    configure(settings) {
        const { order: bytes = "network", names: ranges = {}, default: other, ...unknown } = JSON.parse(settings);
        for (const key of Object.keys(unknown)) {
            throw `settings: "${key}" is unknown; there are order, names and default`;
        }
        if (bytes !== "network" && bytes !== "host") {
            throw `order: ${JSON.stringify(bytes)} is neither network nor host`;
        }
        if (other !== undefined && typeof other !== "string") {
            throw "default: has to be a text";
        }
        order = bytes;
        fallback = other;
        names = nameEachPort(ranges);
    },

    decode({ bytes, ends }) {
        let start = 0;
        return ends.map((end) => {
            const input = bytes.subarray(start, end);
            start = end;
            if (input.length !== 2) {
                return { tag: "error", val: "a port has 2 bytes" };
            }
            const port = order === "network" ? (input[0] << 8) | input[1] : (input[1] << 8) | input[0];
            return { tag: "label", val: names[port] ?? fallback ?? String(port) };
        });
    },
};

// A table of all ports: the large ranges first, so that smaller ones are written over them.
function nameEachPort(ranges) {
    if (ranges === null || typeof ranges !== "object" || Array.isArray(ranges)) {
        throw "names: has to be a mapping of ports to names";
    }
    const parsed = Object.entries(ranges).map(([text, name]) => ({ ...parseRange(text), name }));
    parsed.sort((a, b) => b.last - b.first - (a.last - a.first) || a.first - b.first);
    const table = new Array(LARGEST + 1);
    for (const { text, first, last, name } of parsed) {
        if (typeof name !== "string") {
            throw `names: the name of "${text}" has to be a text`;
        }
        table.fill(name, first, last + 1);
    }
    return table;
}

function parseRange(text) {
    const [, first, last = first] = /^(0|[1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text) ?? [];
    const range = { text, first: Number(first), last: Number(last) };
    if (!(range.first <= range.last && range.last <= LARGEST)) {
        throw `names: "${text}" is neither a port nor a range of ports, such as 8000-8999`;
    }
    return range;
}
