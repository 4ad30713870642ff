/*
 * rows_dump.c - print the compiled unwind rows of a binary, in the words of readelf.
 *
 *     rows_dump FILE
 *
 * One row a line, for code from its svma up to the next row's: "SVMA CFA RBP RA", where CFA is
 * "rsp+16", "rbp+16", "plt:11", "deref:rbp-8+0", and RBP is "u" (the caller's is the frame's own),
 * "c-16" (at CFA - 16) or "*rbp". In the place of these three: "none", "end", "signal",
 * "unsupported".
 */
#include "base/err.h"
#include "elf/elf_image.h"
#include "unwind/image_rows.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static void print_cfa(cfi_rule rule)
{
	switch (cfi_rule_kind(rule)) {
	case CFI_RSP:
		printf("rsp%+" PRId64, cfi_rule_offset(rule));
		break;
	case CFI_RBP:
		printf("rbp%+" PRId64, cfi_rule_offset(rule));
		break;
	case CFI_PLT:
		printf("plt:%" PRId64, cfi_rule_offset(rule));
		break;
	default:
		printf("deref:%s%+" PRId64 "%+" PRId64,
		       cfi_rule_kind(rule) == CFI_DEREF_RBP ? "rbp" : "rsp",
		       cfi_rule_deref_offset(rule), cfi_rule_deref_add(rule));
	}
}

static void print_rule(cfi_rule rule)
{
	static const char *const words[] = {
		[CFI_NONE] = "none",
		[CFI_END] = "end",
		[CFI_SIGNAL] = "signal",
		[CFI_UNSUPPORTED] = "unsupported",
	};
	const unsigned kind = cfi_rule_kind(rule), rbp = cfi_rule_rbp(rule);
	if (kind < sizeof(words) / sizeof(words[0]) && words[kind]) {
		puts(words[kind]);
		return;
	}
	print_cfa(rule);
	if (rbp == CFI_RBP_SAME)
		puts(" u c-8");
	else if (rbp == CFI_RBP_AT_RBP)
		puts(" *rbp c-8");
	else
		printf(" c-%u c-8\n", 8 * rbp);
}

int main(int argc, char **argv)
{
	struct cp_err err = {""};
	struct elf_image *image = NULL;
	struct image_rows *rows = NULL;
	if (argc != 2) {
		fprintf(stderr, "usage: rows_dump FILE\n");
		return 2;
	}
	const int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	int code = elf_image_open_fd(fd, argv[1], &image, &err);
	close(fd);
	if (code == 0 && image_rows_create(image, &rows) != 0)
		code = cp_fail_nomem(&err);
	if (code < 0)
		fprintf(stderr, "%s\n", err.message);
	const struct cfi_table *table = code == 0 ? image_rows_table(rows) : NULL;
	for (size_t i = 0; table && i < table->n; i++) {
		printf("%" PRIx64 " ", table->base_svma + table->rows[i].pc);
		print_rule(table->rows[i].rule);
	}
	image_rows_destroy(rows);
	elf_image_destroy(image);
	return code < 0 ? 1 : 0;
}
