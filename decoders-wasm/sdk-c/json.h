/*
 * Reads the settings of a plugin, which the exporter gives as JSON.
 *
 *	struct slice settings = { (const char *)text->ptr, text->len };
 *
 *	for (struct slice key, value = JSON_FIRST; json_next(settings, &key, &value);)
 *		if (json_is(key, "default"))
 *			has_default = json_text(value, &default_text);
 *
 * A value is a piece of the settings' text. It has to stay as long as its values are read. Only json_text allocates.
 * What the exporter gives is sound. Any other text is never read past its end, and gives some values or none.
 */

#ifndef EBPF_EXPORTER_PLUGIN_JSON_H
#define EBPF_EXPORTER_PLUGIN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A text that need not end in NUL: `length` bytes of UTF-8. */
struct slice {
	const char *text;
	size_t length;
};

/* What stands before the first value of an object or array. */
#define JSON_FIRST ((struct slice){ NULL, 0 })

/* Memory that is there: a plugin that has none left is a trap, and the exporter starts another instance. */
static inline void *json_allocate(size_t size)
{
	void *memory = malloc(size ? size : 1);

	if (!memory)
		abort();
	return memory;
}

static inline const char *json__spaces(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* Past the quote that ends a text which begins at `at`. */
static inline const char *json__past_text(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		at += *at == '\\';
	return at < end ? at + 1 : end;
}

/* Past the value that begins at `at`, with all that is in it. */
static inline const char *json__past(const char *at, const char *end)
{
	size_t open = 0;

	while (at < end) {
		if (*at == '"') {
			at = json__past_text(at, end);
		} else if (*at == '{' || *at == '[') {
			open++;
			at++;
		} else if (*at == '}' || *at == ']') {
			if (!open--)
				return at;
			at++;
		} else if (!open && (*at == ',' || *at == ':' || *at == ' ')) {
			return at;
		} else {
			at++;
			continue;
		}
		if (!open)
			return at;
	}
	return end;
}

/* The value that begins behind spaces. */
static inline struct slice json__value(const char *at, const char *end)
{
	at = json__spaces(at, end);
	return (struct slice){ at, json__past(at, end) - at };
}

static inline char json__first(struct slice value)
{
	const char *end = value.text + value.length, *at = json__spaces(value.text, end);

	return at < end ? *at : 0;
}

/* What a value is. */
static inline bool json_is_object(struct slice value)
{
	return json__first(value) == '{';
}

static inline bool json_is_array(struct slice value)
{
	return json__first(value) == '[';
}

static inline bool json_is_text(struct slice value)
{
	return json__first(value) == '"';
}

/*
 * The next value of an object, with its key, or of an array, with an empty key. `value` has to be the value before it,
 * or JSON_FIRST. False if there is none, and if `whole` is neither object nor array.
 */
static inline bool json_next(struct slice whole, struct slice *key, struct slice *value)
{
	const char *end = whole.text + whole.length, *at = json__spaces(whole.text, end);

	*key = (struct slice){ at, 0 };
	if (at == end || (*at != '{' && *at != '['))
		return false;
	bool object = *at == '{';
	at = json__spaces(value->text ? value->text + value->length : at + 1, end);
	if (at < end && *at == ',')
		at = json__spaces(at + 1, end);
	if (at == end || *at == '}' || *at == ']')
		return false;
	if (object) {
		*key = json__value(at, end);
		at = json__spaces(key->text + key->length, end);
		if (at == end || *at != ':')
			return false;
		at++;
	}
	*value = json__value(at, end);
	return value->length > 0;
}

/* Whether a value is this text, or a key has this name. Neither may need an escape in JSON. */
static inline bool json_is(struct slice value, const char *text)
{
	size_t length = strlen(text);

	return value.length == length + 2 && *value.text == '"' && !memcmp(value.text + 1, text, length);
}

/* The value of four hex digits, or -1. */
static inline int32_t json__hex(const char *at, const char *end)
{
	int32_t code = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = at[i], letter = c | 32;

		if (c >= '0' && c <= '9')
			code = code << 4 | (c - '0');
		else if (letter >= 'a' && letter <= 'f')
			code = code << 4 | (letter - 'a' + 10);
		else
			return -1;
	}
	return code;
}

/* The character that \u and what follows stand for; U+FFFD for half of one. Moves `at` behind them. */
static inline uint32_t json__unicode(const char **at, const char *end)
{
	int32_t high = json__hex(*at, end), low;

	if (high < 0)
		return '?';
	*at += 4;
	if (high < 0xd800 || high > 0xdfff)
		return high;
	if (high > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return 0xfffd;
	low = json__hex(*at + 2, end);
	if (low < 0xdc00 || low > 0xdfff)
		return 0xfffd;
	*at += 6;
	return 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

static inline char *json__utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = (char)code;
	} else if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
		*to++ = (char)(0x80 | (code & 63));
	} else if (code < 0x10000) {
		*to++ = (char)(0xe0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 63));
		*to++ = (char)(0x80 | (code & 63));
	} else {
		*to++ = (char)(0xf0 | code >> 18);
		*to++ = (char)(0x80 | (code >> 12 & 63));
		*to++ = (char)(0x80 | (code >> 6 & 63));
		*to++ = (char)(0x80 | (code & 63));
	}
	return to;
}

/*
 * The text that a value or a key is, without quotes and escapes, in memory of its own with a NUL behind it. False if it
 * is no text.
 */
static inline bool json_text(struct slice value, struct slice *text)
{
	const char *end = value.text + value.length, *at = json__spaces(value.text, end);

	if (at == end || *at != '"')
		return false;
	/* No escape is shorter than what it stands for. */
	char *to = json_allocate(value.length + 1);
	text->text = to;
	for (at++; at < end && *at != '"'; at++) {
		if (*at != '\\' || at + 1 == end) {
			*to++ = *at;
			continue;
		}
		switch (*++at) {
		case 'b': *to++ = '\b'; break;
		case 'f': *to++ = '\f'; break;
		case 'n': *to++ = '\n'; break;
		case 'r': *to++ = '\r'; break;
		case 't': *to++ = '\t'; break;
		case 'u':
			at++;
			to = json__utf8(to, json__unicode(&at, end));
			at--;
			break;
		default: *to++ = *at;
		}
	}
	*to = 0;
	text->length = to - text->text;
	return true;
}

/* The whole number that a value is. False if it is none, or none that has room. */
static inline bool json_integer(struct slice value, int64_t *number)
{
	const char *end = value.text + value.length, *at = json__spaces(value.text, end);
	bool negative = at < end && *at == '-';
	uint64_t most = (uint64_t)INT64_MAX + negative, sum = 0;

	at += negative;
	if (at == end)
		return false;
	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = *at - '0';

		if (sum > (most - digit) / 10)
			return false;
		sum = 10 * sum + digit;
	}
	*number = negative ? (int64_t)(0 - sum) : (int64_t)sum;
	return at == end;
}

/* Whether a value is true or false, which `truth` is then. */
static inline bool json_truth(struct slice value, bool *truth)
{
	*truth = value.length == 4 && !memcmp(value.text, "true", 4);
	return *truth || (value.length == 5 && !memcmp(value.text, "false", 5));
}

#endif
