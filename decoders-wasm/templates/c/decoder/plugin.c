/*
 * `my-plugin`: a text → the name that the settings have for it.
 *
 * Settings, which may all be left out:
 *
 *	names: {bash: shell, sh: shell}  # text: name
 *	default: other                   # for texts without a name; without it, such a text is an error
 */

#include "decoder.h"
#include "json.h"

typedef exports_ebpf_exporter_plugin_decoding_batch_t batch;
typedef exports_ebpf_exporter_plugin_decoding_outcome_t outcome;
typedef exports_ebpf_exporter_plugin_decoding_list_outcome_t outcomes;

/* What the settings say. */
static struct name {
	struct slice text, name;
} *names;
static size_t count;
static struct slice fallback;

/* The exporter shows the text of an error, and does not start. */
static bool refuse(decoder_string_t *error, const char *problem)
{
	decoder_string_dup(error, problem);
	return false;
}

static bool read_names(struct slice object, decoder_string_t *error)
{
	if (!json_is_object(object))
		return refuse(error, "names: has to be a mapping of texts to names");
	for (struct slice key, value = JSON_FIRST; json_next(object, &key, &value); count++) {
		names = realloc(names, (count + 1) * sizeof(*names));
		if (!names)
			abort(); /* a trap: the exporter starts another instance */
		if (!json_text(key, &names[count].text) || !json_text(value, &names[count].name))
			return refuse(error, "names: each name has to be a text");
	}
	return true;
}

bool exports_ebpf_exporter_plugin_decoding_configure(decoder_string_t *settings, decoder_string_t *error)
{
	struct slice object = { (const char *)settings->ptr, settings->len };

	for (struct slice key, value = JSON_FIRST; json_next(object, &key, &value);) {
		if (json_is(key, "names")) {
			if (!read_names(value, error))
				return false;
		} else if (!json_is(key, "default")) {
			return refuse(error, "settings: a key is unknown; there are names and default");
		} else if (!json_text(value, &fallback)) {
			return refuse(error, "default: has to be a text");
		}
	}
	return true;
}

static struct slice name_of(const void *input, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].text.length == length && !memcmp(names[i].text.text, input, length))
			return names[i].name;
	return fallback;
}

/* What is answered is freed by the bindings: a copy of it, never the text itself. */
static outcome decode(const void *input, size_t length)
{
	struct slice name = name_of(input, length);
	outcome answer = { .tag = EXPORTS_EBPF_EXPORTER_PLUGIN_DECODING_OUTCOME_LABEL };

	if (name.text) {
		decoder_string_dup_n(&answer.val.label, name.text, name.length);
		return answer;
	}
	answer.tag = EXPORTS_EBPF_EXPORTER_PLUGIN_DECODING_OUTCOME_ERROR;
	decoder_string_dup(&answer.val.error, "it has no name, and there is no default");
	return answer;
}

void exports_ebpf_exporter_plugin_decoding_decode(batch *inputs, outcomes *answers)
{
	uint32_t start = 0;

	answers->len = inputs->ends.len;
	answers->ptr = json_allocate(answers->len * sizeof(*answers->ptr));
	for (size_t i = 0; i < answers->len; i++) {
		uint32_t end = inputs->ends.ptr[i];

		answers->ptr[i] = decode(inputs->bytes.ptr + start, end - start);
		start = end;
	}
	exports_ebpf_exporter_plugin_decoding_batch_free(inputs);
}
