#include "man_page.h"

#include "cli.h"
#include "topics.h"

#include <ctype.h>
#include <string.h>

/*
 * Plain text as troff: "\" and "-" escaped ("-" alone would become a hyphen that nobody can paste
 * into a shell), no line starts with a control character, and an empty line starts a paragraph.
 */
static void text(FILE *out, const char *plain)
{
	bool line_start = true;
	for (const char *c = plain; *c; c++) {
		if (line_start && (*c == '.' || *c == '\''))
			fputs("\\&", out);
		line_start = false;
		if (c[0] == '\n' && c[1] == '\n') {
			fputs("\n.PP\n", out);
			c++;
			line_start = true;
		} else if (*c == '\\') {
			fputs("\\e", out);
		} else if (*c == '-') {
			fputs("\\-", out);
		} else {
			fputc(*c, out);
			line_start = *c == '\n';
		}
	}
}

static void line(FILE *out, const char *plain)
{
	text(out, plain);
	fputc('\n', out);
}

static void heading(FILE *out, const char *macro, const char *title)
{
	fprintf(out, "%s ", macro);
	for (; *title; title++)
		fputc(strcmp(macro, ".SH") == 0 ? toupper((unsigned char)*title) : *title, out);
	fputc('\n', out);
}

static void option_entry(FILE *out, const struct cli_option *option)
{
	fputs(".TP\n", out);
	if (option->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
	fputs("\\fB\\-\\-", out);
	text(out, option->name);
	fputs("\\fR", out);
	if (option->arg) {
		fputs(option->arg[0] == '[' ? "\\fI" : " \\fI", out);
		text(out, option->arg);
		fputs("\\fR", out);
	}
	fputc('\n', out);
	line(out, option->help);
}

static void command_section(FILE *out, const struct cli_command *command)
{
	fprintf(out, ".SS cprof %s\n", command->name);
	for (const char *const *synopsis = command->synopses; *synopsis; synopsis++) {
		fprintf(out, ".B cprof %s\n", command->name);
		if (**synopsis)
			line(out, *synopsis);
		fputs(".br\n", out);
	}
	fputs(".PP\n", out);
	line(out, command->description);
	for (const struct cli_option *option = command->options; option->name; option++)
		option_entry(out, option);
}

static void topic_section(FILE *out, const struct topic *topic)
{
	heading(out, ".SH", topic->title);
	for (const struct topic_entry *entry = topic->entries; entry->term; entry++) {
		fputs(".TP\n\\fB", out);
		text(out, entry->term);
		fputs("\\fR\n", out);
		line(out, entry->text);
	}
	if (topic->intro) {
		fputs(".PP\n", out);
		line(out, topic->intro);
	}
}

static void examples_section(FILE *out)
{
	fputs(".SH EXAMPLES\n", out);
	for (const struct cli_command *const *command = cli_commands; *command; command++) {
		const struct cli_example *example = (*command)->examples;
		for (; example && example->command; example++) {
			fputs(".TP\n\\fB", out);
			text(out, example->command);
			fputs("\\fR\n", out);
			line(out, example->comment);
		}
	}
}

void man_page_write(FILE *out)
{
	fprintf(out, ".TH CPROF 1 \"\" \"cprof %s\" \"User Commands\"\n", CPROF_VERSION);
	fputs(".nh\n.ad l\n.SH NAME\ncprof \\- ", out);
	line(out, topics_summary);
	fputs(".SH SYNOPSIS\n.B cprof\n\\fICOMMAND\\fR [\\fIOPTION\\fR...]\n.SH DESCRIPTION\n",
	      out);
	line(out, topics_description);
	fputs(".SH COMMANDS\n", out);
	for (const struct cli_command *const *command = cli_commands; *command; command++)
		command_section(out, *command);
	for (const struct topic *topic = topics; topic->title; topic++)
		topic_section(out, topic);
	examples_section(out);
	fputs(".SH SEE ALSO\n.BR perf (1),\n.BR gdb (1),\n.BR perf_event_open (2)\n", out);
}
