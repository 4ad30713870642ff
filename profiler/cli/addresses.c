#include "addresses.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"
#include "output/strbuf.h"
#include "symbolizer/demangle.h"
#include "symbolizer/lookup_pool.h"
#include "symbolizer/text_file.h"
#include "terminal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* What one read() of standard input may bring; a line is never as long. */
enum { INPUT_BYTES = 128 * 1024 };

/*
 * Questions are answered together, which is fastest, but only those that are there: who asks may be
 * waiting for the answer. Many come from a program that writes on: it is given the time to.
 */
enum { MAX_QUESTIONS = 128 * 1024, MANY_QUESTIONS = 1024, MORE_WITHIN_MS = 10 };

/* Answers are written when there are so many bytes of them. */
enum { OUTPUT_BYTES = 256 * 1024 };

/* A question in the order of addresses: neighbours' answers are kept beside each other. */
struct question {
	uint64_t address;
	size_t number; /* in the order they were asked in */
};

/* Where an answer is in the batch's text. */
struct place {
	size_t start, n;
};

/* Questions that came together. */
struct batch {
	const struct addresses_request *request;
	struct lookup *lookup;
	bool opened;
	bool told;   /* what is wanting */
	bool unread; /* nobody reads the answers any more */
	uint64_t *addresses;
	size_t n, cap;
	struct question *questions; /* cap of each */
	struct place *places;
	size_t cap_questions, cap_places;
	struct strbuf text, output;
	uint64_t n_garbage; /* lines that were no address */
};

static bool parse_address(const char *text, uint64_t *out)
{
	char word[32];
	while (isspace((unsigned char)*text))
		text++;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	size_t n = strcspn(text, " \t\r\n");
	if (n >= sizeof(word) || text[n + strspn(text + n, " \t\r\n")])
		return false;
	memcpy(word, text, n);
	word[n] = '\0';
	char *end = word;
	return text_file_hex(&end, out) && !*end;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static void put_name(struct strbuf *to, const struct addresses_request *request,
		     const struct symbol_frame *frame)
{
	bool bare = request->format.demangle && request->symbols->bare_names;
	CP_CLEANUP(cp_free) char *made = bare ? demangle_bare(frame->system_name) : NULL;
	const char *name = made                       ? made
			   : request->format.demangle ? frame->name
						      : frame->system_name;
	strbuf_add(to, name[0] ? name : "??");
}

/* ":12". printf() takes longer than all the rest of a frame. */
static void put_line(struct strbuf *to, uint32_t line)
{
	char text[16];
	char *at = text + sizeof(text);
	*--at = '\n';
	if (line == 0)
		*--at = '?';
	for (; line > 0; line /= 10)
		*--at = (char)('0' + line % 10);
	*--at = ':';
	strbuf_add_bytes(to, at, (size_t)(text + sizeof(text) - at));
}

static void put_frame(struct strbuf *to, const struct addresses_request *request,
		      const struct symbol_frame *frame)
{
	const struct addresses_format *format = &request->format;
	char moved[PATH_MAX];
	if (format->functions) {
		put_name(to, request, frame);
		strbuf_add(to, format->pretty ? " at " : "\n");
	}
	const char *file = source_prefixes_apply(&request->symbols->prefixes, frame->file, moved,
						 sizeof(moved));
	if (format->basenames)
		file = last_part(file);
	strbuf_add(to, file[0] ? file : "??");
	put_line(to, frame->line);
}

static void put_answer(struct batch *batch, uint64_t address)
{
	const struct addresses_format *format = &batch->request->format;
	struct strbuf *to = &batch->text;
	struct lookup_answer found;
	/* a line without a function is one frame: code written in assembly */
	size_t n = lookup_find(batch->lookup, address, &found) ? found.answer->n_frames : 0;
	if (format->address)
		strbuf_addf(to, "0x%016" PRIx64 "%s", address, format->pretty ? ": " : "\n");
	if (n == 0 && format->functions)
		strbuf_add(to, format->pretty ? "?? " : "??\n");
	if (n == 0)
		strbuf_add(to, "??:0\n");
	if (!format->inlines && n > 1)
		n = 1;
	for (size_t i = 0; i < n; i++) {
		struct symbol_frame frame = answer_table_frame(found.table, found.answer, i);
		if (i > 0 && format->pretty)
			strbuf_add(to, " (inlined by) ");
		put_frame(to, batch->request, &frame);
	}
}

static int batch_ask(struct batch *batch, uint64_t address)
{
	uint64_t *added = CP_ARRAY_PUSH(batch->addresses, batch->n, batch->cap);
	if (!added)
		return -ENOMEM;
	*added = address;
	return 0;
}

static void tell_shortcoming(struct batch *batch)
{
	const char *text = lookup_shortcoming(batch->lookup);
	if (!batch->told && text[0])
		cli_note("%s: %s", batch->request->path, text);
	batch->told |= text[0] != '\0';
}

/* Also without any address: a file that cannot be read is told in any case. */
static int batch_look_up(struct batch *batch)
{
	struct cp_err err = {""};
	const int rc = lookup_work_together(batch->lookup, batch->addresses, batch->n, &err);
	if (!batch->opened)
		terminal_progress_end();
	batch->opened = true;
	if (rc < 0)
		return cli_fail("%s: %s", batch->request->path, err.message);
	tell_shortcoming(batch);
	return lookup_changed(batch->lookup)
		       ? cli_fail("%s: a file of it was changed while it was read",
				  batch->request->path)
		       : CLI_OK;
}

static int by_address(const void *left, const void *right)
{
	const struct question *a = left, *b = right;
	return a->address < b->address ? -1 : a->address > b->address;
}

/* The texts of all answers, each once. Return: the exit status. */
static int put_answers(struct batch *batch)
{
	const size_t n = batch->n;
	struct question *questions =
		cp_array_reserve(batch->questions, &batch->cap_questions, n, sizeof(*questions));
	batch->questions = questions ? questions : batch->questions;
	struct place *places =
		cp_array_reserve(batch->places, &batch->cap_places, n, sizeof(*places));
	batch->places = places ? places : batch->places;
	if (!questions || !places)
		return cli_fail("out of memory");
	for (size_t i = 0; i < n; i++)
		questions[i] = (struct question){.address = batch->addresses[i], .number = i};
	qsort(questions, n, sizeof(*questions), by_address);
	strbuf_clear(&batch->text);
	for (size_t i = 0; i < n; i++) {
		struct place *place = &places[questions[i].number];
		if (i > 0 && questions[i].address == questions[i - 1].address) {
			*place = places[questions[i - 1].number];
			continue;
		}
		place->start = batch->text.n;
		put_answer(batch, questions[i].address);
		place->n = batch->text.n - place->start;
	}
	return strbuf_failed(&batch->text) ? cli_fail("out of memory") : CLI_OK;
}

/* Return: the exit status. */
static int write_output(struct batch *batch)
{
	struct strbuf *output = &batch->output;
	if (strbuf_failed(output))
		return cli_fail("out of memory");
	/* what is too large for stdio's buffer fails in fwrite(), the rest in fflush() */
	const bool written = fwrite(strbuf_text(output), 1, output->n, stdout) == output->n &&
			     fflush(stdout) == 0;
	strbuf_clear(output);
	if (written)
		return CLI_OK;
	if (errno != EPIPE)
		return cli_fail("standard output: %s", strerror(errno));
	batch->unread = true;
	clearerr(stdout); /* that nobody reads on is no failure */
	return CLI_OK;
}

/* Answer all that was asked since the last time. Return: the exit status. */
static int batch_answer(struct batch *batch)
{
	int status = batch_look_up(batch);
	if (status == CLI_OK && batch->n > 0)
		status = put_answers(batch);
	for (size_t i = 0; i < batch->n && status == CLI_OK && !batch->unread; i++) {
		const struct place *place = &batch->places[i];
		strbuf_add_bytes(&batch->output, batch->text.bytes + place->start, place->n);
		if (batch->output.n >= OUTPUT_BYTES)
			status = write_output(batch);
	}
	batch->n = 0;
	return status == CLI_OK && !batch->unread ? write_output(batch) : status;
}

static int answer_operands(struct batch *batch)
{
	const struct addresses_request *request = batch->request;
	for (int i = 0; i < request->n_operands; i++) {
		uint64_t address = 0;
		parse_address(request->operands[i], &address); /* has been looked at */
		if (batch_ask(batch, address) < 0)
			return cli_fail("out of memory");
	}
	return batch_answer(batch);
}

/*
 * Ask for each whole line of @n bytes. A line that is no address is answered as 0 is, as addr2line
 * does: questions and answers stay in step.
 *
 * Return: how many bytes were lines, or -ENOMEM.
 */
static ssize_t ask_lines(struct batch *batch, char *bytes, size_t n)
{
	char *line = bytes, *end;
	while ((end = memchr(line, '\n', n - (size_t)(line - bytes)))) {
		uint64_t address = 0;
		*end = '\0';
		batch->n_garbage += !parse_address(line, &address);
		if (batch_ask(batch, address) < 0)
			return -ENOMEM;
		line = end + 1;
	}
	return line - bytes;
}

/* Whether more questions are there, or will be in a moment. */
static bool more_to_come(const struct batch *batch, int fd)
{
	struct pollfd input = {.fd = fd, .events = POLLIN};
	if (batch->n >= MAX_QUESTIONS)
		return false;
	return poll(&input, 1, batch->n >= MANY_QUESTIONS ? MORE_WITHIN_MS : 0) > 0;
}

/* Bytes of standard input that are no whole line yet. */
struct input {
	int fd;
	char *bytes; /* INPUT_BYTES, and a newline */
	size_t n;
	bool ended;
};

/* One read(). Return: the exit status. */
static int take_input(struct batch *batch, struct input *input)
{
	ssize_t got = read(input->fd, input->bytes + input->n, INPUT_BYTES - input->n);
	if (got < 0 && errno == EINTR)
		return CLI_OK;
	if (got < 0)
		return cli_fail("standard input: %s", strerror(errno));
	input->n += (size_t)got;
	input->ended = got == 0;
	if (input->ended && input->n > 0)
		input->bytes[input->n++] = '\n'; /* the last line may lack it */
	ssize_t used = ask_lines(batch, input->bytes, input->n);
	if (used < 0)
		return cli_fail("out of memory");
	input->n -= (size_t)used;
	memmove(input->bytes, input->bytes + used, input->n);
	return input->n < INPUT_BYTES ? CLI_OK
				      : cli_fail("standard input: no addresses, one a line");
}

static int answer_stream(struct batch *batch, int fd)
{
	CP_CLEANUP(cp_free) char *bytes = malloc(INPUT_BYTES + 1);
	struct input input = {.fd = fd, .bytes = bytes};
	int status = CLI_OK;
	if (!bytes)
		return cli_fail("out of memory");
	while (!input.ended && status == CLI_OK && !batch->unread) {
		/* before waiting for questions: whether there will be answers */
		if (!batch->opened && !more_to_come(batch, fd))
			status = batch_look_up(batch);
		do {
			if (status == CLI_OK)
				status = take_input(batch, &input);
		} while (status == CLI_OK && !input.ended && more_to_come(batch, fd));
		if (status == CLI_OK && (batch->n > 0 || !batch->opened))
			status = batch_answer(batch);
	}
	char text[CP_TEXT_MAX];
	if (status == CLI_OK && batch->n_garbage)
		cli_warn("lines of standard input that are no addresses: %s",
			 cp_format_count(batch->n_garbage, text));
	return status;
}

/* The path as others will find it: entries of the cache are for absolute ones. */
static const char *absolute(const char *path, char buf[PATH_MAX])
{
	char here[PATH_MAX];
	if (path[0] == '/' || !getcwd(here, sizeof(here)) ||
	    (size_t)snprintf(buf, PATH_MAX, "%s/%s", here, path) >= PATH_MAX)
		return path;
	return buf;
}

const char *addresses_wrong_operand(char *const *operands, int n)
{
	uint64_t address;
	for (int i = 0; i < n; i++)
		if (!parse_address(operands[i], &address))
			return operands[i];
	return NULL;
}

int addresses_run(const struct addresses_request *request)
{
	struct debuginfod_query *debuginfod;
	if (debuginfod_open(&request->symbols->debuginfod, NULL, &debuginfod) < 0)
		return cli_fail("out of memory");
	char cache_dir[PATH_MAX], path[PATH_MAX];
	struct symbolizer_options options = load_symbolizer_options(request->symbols, cache_dir);
	options.debuginfod = debuginfod;
	options.objects = true;
	const struct source_request source = {
		.path = absolute(request->path, path), .build_id = "", .share_pct = 100};
	struct batch batch = {.request = request};
	int status = lookup_create(&source, &options, &batch.lookup) < 0 ? cli_fail("out of memory")
		     : request->n_operands                               ? answer_operands(&batch)
					   : answer_stream(&batch, STDIN_FILENO);
	if (batch.lookup) {
		lookup_end(batch.lookup);
		if (status == CLI_OK)
			tell_shortcoming(&batch); /* some of it shows only in the look-ups */
	}
	lookup_destroy(batch.lookup);
	debuginfod_query_destroy(debuginfod);
	strbuf_deinit(&batch.text);
	strbuf_deinit(&batch.output);
	free(batch.questions);
	free(batch.places);
	free(batch.addresses);
	return status;
}
