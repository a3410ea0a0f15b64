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

#include <stdlib.h>
#include <string.h>

#include <jsmn.h>

#include "decoder.h"

typedef exports_ebpf_exporter_plugin_decoding_batch_t batch;
typedef exports_ebpf_exporter_plugin_decoding_outcome_t outcome;
typedef exports_ebpf_exporter_plugin_decoding_list_outcome_t outcomes;

enum { BYTES = 6, TEXT = 3 * BYTES - 1 };

/* A text that need not end in NUL. */
struct slice {
	const char *text;
	size_t length;
};

struct prefix {
	uint8_t bytes[BYTES];
	size_t length;
	struct slice name;
};

/* What the settings say. Names point into the settings' text, which is kept. */
static struct prefix *prefixes;
static size_t count;
static struct slice fallback;

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		abort(); /* a trap: the host starts another instance */
	return memory;
}

/* The host frees what it is given, so that it has to be given a copy. */
static void give(decoder_string_t *to, struct slice text)
{
	decoder_string_dup_n(to, text.text, text.length);
}

static struct slice slice(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

static bool equal(struct slice a, const char *b)
{
	return a.length == strlen(b) && !memcmp(a.text, b, a.length);
}

/* Says `KEY: "VALUE" PROBLEM`. */
static bool refuse(decoder_string_t *error, const char *key, struct slice value, const char *problem)
{
	const struct slice parts[] = { slice(key), slice(": \""), value, slice("\" "), slice(problem) };
	const size_t all = sizeof(parts) / sizeof(*parts);
	size_t length = 0;

	for (size_t i = 0; i < all; i++)
		length += parts[i].length;
	error->ptr = allocate(length);
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
	struct prefix *prefix = &prefixes[count];

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

/* A name, as it is to be in a label: JSON's escapes stand for what no name here needs. */
static bool read_name(struct slice json, const jsmntok_t *token, struct slice *name)
{
	name->text = json.text + token->start;
	name->length = token->end - token->start;
	return token->type == JSMN_STRING && !memchr(name->text, '\\', name->length);
}

#define A_NAME "has to be a text without quotes, backslashes and control characters"

static bool read_names(struct slice json, const jsmntok_t *object, decoder_string_t *error)
{
	if (object->type != JSMN_OBJECT)
		return complain(error, "names: has to be a mapping of prefixes to names");
	prefixes = allocate((object->size + 1) * sizeof(*prefixes));
	for (int i = 0; i < object->size; i++) {
		const jsmntok_t *key = object + 1 + 2 * i;
		struct slice text = { json.text + key->start, key->end - key->start }, name;

		if (!read_name(json, key + 1, &name))
			return refuse(error, "names", text, A_NAME);
		if (!add_name(text, name, error))
			return false;
	}
	return true;
}

/* How many tokens a value has, with all that is in it. */
static int tokens_of(const jsmntok_t *value)
{
	int tokens = 1;

	for (int open = value->size; open > 0; open--, tokens++)
		open += value[tokens].size;
	return tokens;
}

static bool read_settings(struct slice json, const jsmntok_t *object, decoder_string_t *error)
{
	const jsmntok_t *key = object + 1;

	for (int i = 0; i < object->size; i++, key += 1 + tokens_of(key + 1)) {
		struct slice name = { json.text + key->start, key->end - key->start };

		if (equal(name, "names")) {
			if (!read_names(json, key + 1, error))
				return false;
		} else if (!equal(name, "default")) {
			return refuse(error, "settings", name, "is unknown; there are names and default");
		} else if (!read_name(json, key + 1, &fallback)) {
			return complain(error, "default: " A_NAME);
		}
	}
	return true;
}

bool exports_ebpf_exporter_plugin_decoding_configure(decoder_string_t *settings,
						     decoder_string_t *error)
{
	struct slice json = { (const char *)settings->ptr, settings->len };
	jsmn_parser parser;

	jsmn_init(&parser);
	int tokens = jsmn_parse(&parser, json.text, json.length, NULL, 0);
	if (tokens < 1)
		return complain(error, "the settings are no JSON");
	jsmntok_t *root = allocate(tokens * sizeof(*root));
	jsmn_init(&parser);
	jsmn_parse(&parser, json.text, json.length, root, tokens);
	bool good = root->type == JSMN_OBJECT ? read_settings(json, root, error) :
						complain(error, "the settings are no mapping");
	free(root);
	return good;
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
	answers->ptr = allocate(answers->len * sizeof(*answers->ptr));
	for (size_t i = 0; i < answers->len; i++) {
		uint32_t end = inputs->ends.ptr[i];

		decode(inputs->bytes.ptr + start, end - start, &answers->ptr[i]);
		start = end;
	}
	exports_ebpf_exporter_plugin_decoding_batch_free(inputs);
}
