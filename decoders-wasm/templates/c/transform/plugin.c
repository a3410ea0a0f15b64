/*
 * `my-plugin`: joins labels of a row into one.
 *
 * Settings:
 *
 *	labels: [source, destination]  # which, at least two; the first gives its place to the joined one
 *	to: path                       # the name of the joined one
 *	separator: "-"                 # what stands between their values; a hyphen if it is left out
 */

#include "json.h"
#include "transform.h"

typedef exports_ebpf_exporter_plugin_transforming_metric_t metric;
typedef exports_ebpf_exporter_plugin_transforming_rows_t rows;
typedef exports_ebpf_exporter_plugin_transforming_answers_t answers;

enum { MOST = 64 }; /* as many labels as a row may leave with */

/* What the settings say. */
static struct slice labels[MOST], to, separator = { "-", 1 };
static size_t count;

/* How many labels a row comes with, and which of them are joined, by their places. */
static size_t width, joined[MOST];

/* The exporter shows the text of an error, and does not start. */
static bool refuse(transform_string_t *error, const char *problem)
{
	transform_string_dup(error, problem);
	return false;
}

static bool read_labels(struct slice array, transform_string_t *error)
{
	if (!json_is_array(array))
		return refuse(error, "labels: has to be a list of names");
	for (struct slice key, value = JSON_FIRST; json_next(array, &key, &value); count++)
		if (count == MOST || !json_text(value, &labels[count]))
			return refuse(error, "labels: has to be a list of at most 64 names");
	return count >= 2 || refuse(error, "labels: name two labels or more");
}

static bool read_settings(struct slice object, transform_string_t *error)
{
	struct slice list = JSON_FIRST;

	for (struct slice key, value = JSON_FIRST; json_next(object, &key, &value);) {
		if (json_is(key, "labels"))
			list = value;
		else if (!json_is(key, "to") && !json_is(key, "separator"))
			return refuse(error, "settings: a key is unknown; there are labels, to and separator");
		else if (!json_text(value, json_is(key, "to") ? &to : &separator))
			return refuse(error, "to and separator: each has to be a text");
	}
	if (!to.text)
		return refuse(error, "to: name the joined label");
	return read_labels(list, error);
}

/* The place of a label in a row. */
static bool place(const metric *of, struct slice label, size_t *at)
{
	for (*at = 0; *at < of->labels.len; ++*at) {
		const transform_string_t *name = &of->labels.ptr[*at];

		if (name->len == label.length && !memcmp(name->ptr, label.text, label.length))
			return true;
	}
	return false;
}

/* Whether a label gives its place to another, or to none. */
static bool is_joined(size_t at)
{
	for (size_t i = 0; i < count; i++)
		if (joined[i] == at)
			return true;
	return false;
}

bool exports_ebpf_exporter_plugin_transforming_configure(transform_string_t *settings, metric *of,
							 transform_list_string_t *names, transform_string_t *error)
{
	if (!read_settings((struct slice){ (const char *)settings->ptr, settings->len }, error))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!place(of, labels[i], &joined[i]))
			return refuse(error, "labels: the metric has not all of them");
	width = of->labels.len;
	names->ptr = json_allocate(width * sizeof(*names->ptr));
	names->len = 0;
	for (size_t i = 0; i < width; i++) {
		const transform_string_t *name = &of->labels.ptr[i];
		transform_string_t *next = &names->ptr[names->len];

		if (i == joined[0])
			transform_string_dup_n(next, to.text, to.length);
		else if (!is_joined(i))
			transform_string_dup_n(next, (const char *)name->ptr, name->len);
		else
			continue;
		names->len++;
	}
	return true;
}

/* What is answered: texts end to end, and where each ends. */
static struct {
	char *text;
	uint32_t length, room;
} out;

static void append(const void *text, size_t length)
{
	if (out.room - out.length < length) {
		out.room = 2 * out.room + length;
		out.text = realloc(out.text, out.room);
		if (!out.text)
			abort(); /* a trap: the exporter starts another instance */
	}
	memcpy(out.text + out.length, text, length);
	out.length += length;
}

/* The value of a row at this place of all. */
static struct slice value(const rows *all, size_t at)
{
	uint32_t start = at ? all->values.ends.ptr[at - 1] : 0;

	return (struct slice){ (const char *)all->values.text.ptr + start, all->values.ends.ptr[at] - start };
}

static void join(const rows *all, size_t row)
{
	for (size_t i = 0; i < count; i++) {
		struct slice part = value(all, row * width + joined[i]);

		if (i)
			append(separator.text, separator.length);
		append(part.text, part.length);
	}
}

void exports_ebpf_exporter_plugin_transforming_transform(rows *all, answers *answer)
{
	/* A tag of 0 says that the labels are the next values. */
	answer->outcomes.len = all->count;
	answer->outcomes.ptr = calloc(all->count, sizeof(*answer->outcomes.ptr));
	answer->values.ends.len = 0;
	answer->values.ends.ptr = json_allocate(all->values.ends.len * sizeof(*answer->values.ends.ptr));
	out.text = json_allocate(out.room = all->values.text.len + 1);
	out.length = 0;
	if (!answer->outcomes.ptr)
		abort();
	for (size_t i = 0; i < all->count * width; i++) {
		struct slice one = value(all, i);

		if (i % width == joined[0])
			join(all, i / width);
		else if (!is_joined(i % width))
			append(one.text, one.length);
		else
			continue;
		answer->values.ends.ptr[answer->values.ends.len++] = out.length;
	}
	/* Freed by the bindings, as all that is answered. */
	answer->values.text = (transform_string_t){ (uint8_t *)out.text, out.length };
	exports_ebpf_exporter_plugin_transforming_rows_free(all);
}
