/*
 * `mac`: a MAC address → the name of the longest prefix that it begins with, or its text.
 *
 * The input is the 6 bytes of an address, as they are in a frame.
 *
 * Settings:
 *
 *   names:                          # prefix: name, 1 to 6 bytes in hex, with colons between them
 *     "52:54:00": qemu              # three bytes are a vendor
 *     "52:54:00:12:34:56": gateway  # the longest prefix that an address begins with wins
 *   default: other                  # for addresses without a name; without it, 52:54:00:12:34:56
 *
 * Both may be left out.
 */

#include "decoder.h"
#include "json.h"

typedef exports_ebpf_exporter_plugin_decoding_batch_t batch;
typedef exports_ebpf_exporter_plugin_decoding_outcome_t outcome;
typedef exports_ebpf_exporter_plugin_decoding_list_outcome_t outcomes;

enum { BYTES = 6, TEXT = 3 * BYTES - 1 };

struct prefix {
	uint8_t bytes[BYTES];
	size_t length;
	struct slice name;
};

/* What the settings say. */
static struct prefix *prefixes;
static size_t count;
static struct slice fallback;

/* The host frees what it is given, so that it has to be given a copy. */
static void give(decoder_string_t *to, struct slice text)
{
	decoder_string_dup_n(to, text.text, text.length);
}

static struct slice slice(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

/* Says `KEY: "VALUE" PROBLEM`. */
static bool refuse(decoder_string_t *error, const char *key, struct slice value, const char *problem)
{
	const struct slice parts[] = { slice(key), slice(": \""), value, slice("\" "), slice(problem) };
	const size_t all = sizeof(parts) / sizeof(*parts);
	size_t length = 0;

	for (size_t i = 0; i < all; i++)
		length += parts[i].length;
	error->ptr = json_allocate(length);
	error->len = 0;
	for (size_t i = 0; i < all; i++) {
		memcpy(error->ptr + error->len, parts[i].text, parts[i].length);
		error->len += parts[i].length;
	}
	return false;
}

static bool complain(decoder_string_t *error, const char *problem)
{
	give(error, slice(problem));
	return false;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 'a' ^ 'A';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `52:54:00` to 3 bytes. */
static bool parse_prefix(struct slice text, struct prefix *prefix)
{
	prefix->length = (text.length + 1) / 3;
	if ((text.length + 1) % 3 || prefix->length < 1 || prefix->length > BYTES)
		return false;
	for (size_t i = 0; i < prefix->length; i++) {
		const char *pair = text.text + 3 * i;
		int high = digit(pair[0]), low = digit(pair[1]);

		if (high < 0 || low < 0 || (i + 1 < prefix->length && pair[2] != ':'))
			return false;
		prefix->bytes[i] = high << 4 | low;
	}
	return true;
}

static bool add_name(struct slice text, struct slice name, decoder_string_t *error)
{
	struct prefix *prefix;

	prefixes = realloc(prefixes, (count + 1) * sizeof(*prefixes));
	if (!prefixes)
		abort(); /* a trap: the host starts another instance */
	prefix = &prefixes[count];
	prefix->name = name;
	if (!parse_prefix(text, prefix))
		return refuse(error, "names", text, "is not 1 to 6 bytes of an address, such as 52:54:00");
	for (size_t i = 0; i < count; i++)
		if (prefixes[i].length == prefix->length &&
		    !memcmp(prefixes[i].bytes, prefix->bytes, prefix->length))
			return refuse(error, "names", text, "is there twice");
	count++;
	return true;
}

static bool read_names(struct slice object, decoder_string_t *error)
{
	struct slice text = { 0 }, name;

	if (!json_is_object(object))
		return complain(error, "names: has to be a mapping of prefixes to names");
	for (struct slice key, value = JSON_FIRST; json_next(object, &key, &value);) {
		json_text(key, &text);
		if (!json_text(value, &name))
			return refuse(error, "names", text, "has to be a text");
		if (!add_name(text, name, error))
			return false;
	}
	return true;
}

static bool read_setting(struct slice key, struct slice value, decoder_string_t *error)
{
	struct slice name = { 0 };

	if (json_is(key, "names"))
		return read_names(value, error);
	if (json_is(key, "default"))
		return json_text(value, &fallback) || complain(error, "default: has to be a text");
	json_text(key, &name);
	return refuse(error, "settings", name, "is unknown; there are names and default");
}

bool exports_ebpf_exporter_plugin_decoding_configure(decoder_string_t *settings,
						     decoder_string_t *error)
{
	struct slice object = { (const char *)settings->ptr, settings->len };

	for (struct slice key, value = JSON_FIRST; json_next(object, &key, &value);)
		if (!read_setting(key, value, error))
			return false;
	return true;
}

static const struct prefix *longest(const uint8_t *address)
{
	const struct prefix *best = NULL;

	for (const struct prefix *p = prefixes; p != prefixes + count; p++)
		if ((!best || p->length > best->length) && !memcmp(p->bytes, address, p->length))
			best = p;
	return best;
}

static void write_address(const uint8_t *address, char text[TEXT])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < BYTES; i++) {
		text[3 * i] = hex[address[i] >> 4];
		text[3 * i + 1] = hex[address[i] & 15];
		if (i + 1 < BYTES)
			text[3 * i + 2] = ':';
	}
}

static void decode(const uint8_t *input, size_t length, outcome *answer)
{
	char text[TEXT];

	if (length != BYTES) {
		answer->tag = EXPORTS_EBPF_EXPORTER_PLUGIN_DECODING_OUTCOME_ERROR;
		give(&answer->val.error, slice("a MAC address has 6 bytes"));
		return;
	}
	const struct prefix *prefix = longest(input);
	struct slice label = prefix ? prefix->name : fallback;
	if (!label.text) {
		write_address(input, text);
		label = (struct slice){ text, TEXT };
	}
	answer->tag = EXPORTS_EBPF_EXPORTER_PLUGIN_DECODING_OUTCOME_LABEL;
	give(&answer->val.label, label);
}

void exports_ebpf_exporter_plugin_decoding_decode(batch *inputs, outcomes *answers)
{
	uint32_t start = 0;

	answers->len = inputs->ends.len;
	answers->ptr = json_allocate(answers->len * sizeof(*answers->ptr));
	for (size_t i = 0; i < answers->len; i++) {
		uint32_t end = inputs->ends.ptr[i];

		decode(inputs->bytes.ptr + start, end - start, &answers->ptr[i]);
		start = end;
	}
	exports_ebpf_exporter_plugin_decoding_batch_free(inputs);
}
