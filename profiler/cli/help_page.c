#include "help_page.h"

#include "cli.h"
#include "topics.h"

#include <string.h>

/* One word after another, each line at most @width columns and from the second on indented. */
static void wrap(FILE *out, const char *text, unsigned column, unsigned indent, unsigned width)
{
	bool first = true;
	while (*text) {
		unsigned n = (unsigned)strcspn(text, " \n");
		if (!first && column + 1 + n > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', out);
			column++;
		}
		fwrite(text, 1, n, out);
		column += n;
		first = false;
		text += n;
		if (text[0] == '\n' && text[1] == '\n') {
			fprintf(out, "\n\n%*s", (int)indent, "");
			column = indent;
			first = true;
		}
		text += strspn(text, " \n");
	}
	fputc('\n', out);
}

/* "  term    text": the text beside the term, or below it where the term is long. */
static void entry(FILE *out, const char *term, const char *text, unsigned indent, unsigned width)
{
	unsigned used = (unsigned)fprintf(out, "  %s", term);
	if (used + 2 > indent) {
		fputc('\n', out);
		used = 0;
	}
	fprintf(out, "%*s", (int)(indent - used), "");
	wrap(out, text, indent, indent, width);
}

static void option_entry(FILE *out, const struct cli_option *option, unsigned width)
{
	char letter[8] = "    ", term[80];
	if (option->letter)
		snprintf(letter, sizeof(letter), "-%c, ", option->letter);
	snprintf(term, sizeof(term), "%s--%s%s%s", letter, option->name,
		 option->arg && option->arg[0] != '[' ? " " : "", option->arg ? option->arg : "");
	entry(out, term, option->help, 32, width);
}

static void examples(FILE *out, const struct cli_example *example, unsigned width)
{
	if (!example)
		return;
	fputs("\nExamples:\n", out);
	for (; example->command; example++) {
		fprintf(out, "  %s\n      ", example->command);
		wrap(out, example->comment, 6, 6, width);
	}
}

static void synopses(FILE *out, const struct cli_command *command)
{
	const char *before = "Usage: ";
	for (const char *const *synopsis = command->synopses; *synopsis; synopsis++) {
		fprintf(out, "%scprof %s%s%s\n", before, command->name, **synopsis ? " " : "",
			*synopsis);
		before = "       ";
	}
}

void help_page_command(const struct cli_command *command, FILE *out, unsigned width)
{
	synopses(out, command);
	fputc('\n', out);
	wrap(out, command->description, 0, 0, width);
	const struct cli_option help = {"help", 'h', NULL, NULL, "print this help"};
	const struct cli_option *option = command->options;
	if (!option->name || !option->group)
		fputs("\nOptions:\n", out);
	for (; option->name; option++) {
		if (option->group)
			fprintf(out, "\n%s:\n", option->group);
		option_entry(out, option, width);
	}
	option_entry(out, &help, width);
	examples(out, command->examples, width);
}

void help_page_usage(FILE *out)
{
	fputs("Usage: cprof record -p PID [-d 10s]     record a running process\n"
	      "       cprof record -- CMD ARG...       start a command and record it\n"
	      "       cprof report                     where did the time go?\n"
	      "       cprof flamegraph -o flame.svg    the same as a picture\n"
	      "       cprof heap run -- CMD ARG...     what memory is not freed, what grows?\n"
	      "       cprof doctor [-p PID]            can I record here? if not, why?\n"
	      "       cprof help [COMMAND]             everything else\n",
	      out);
}

void help_page_overview(FILE *out, unsigned width)
{
	fprintf(out, "cprof %s - %s\n\n", CPROF_VERSION, topics_summary);
	wrap(out, topics_description, 0, 0, width);
	fputs("\nCommands:\n", out);
	for (const struct cli_command *const *command = cli_commands; *command; command++)
		entry(out, (*command)->name, (*command)->summary, 17, width);
	fputs("\nOptions:\n", out);
	entry(out, "-h, --help", "print this help", 17, width);
	entry(out, "-V, --version", "print the version and what is built in", 17, width);
	for (const struct topic *topic = topics; topic->title; topic++) {
		if (!topic->in_overview)
			continue;
		fprintf(out, "\n%s:\n", topic->title);
		for (const struct topic_entry *line = topic->entries; line->term; line++)
			entry(out, line->term, line->text, 17, width);
		if (topic->intro) {
			fputs("  ", out);
			wrap(out, topic->intro, 2, 2, width);
		}
	}
	fputs("\n'cprof help COMMAND' and 'cprof COMMAND --help' tell more about a command.\n",
	      out);
}
