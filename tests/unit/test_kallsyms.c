#include "symbolizer/kallsyms.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int read_text(struct kallsyms *kallsyms, const char *text, struct cp_err *err)
{
	char path[] = "/tmp/cprof-kallsyms-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	size_t n = strlen(text);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
	int rc = kallsyms_read(kallsyms, path, err);
	unlink(path);
	return rc;
}

static const char *name_at(const struct kallsyms *kallsyms, uint64_t address)
{
	const struct symbol *symbol = symbol_table_find(&kallsyms->table, address);
	return symbol ? symbol->name : "none";
}

static void test_kallsyms__text_symbols_reach_to_the_next_one(void **state)
{
	(void)state;
	struct kallsyms kallsyms;
	const char *text = "0000000000000000 A fixed_percpu_data\n"
			   "ffffffff81000000 T _stext\n"
			   "ffffffff81000100 t do_one_initcall\n"
			   "ffffffff81000180 d some_data\n"
			   "ffffffff81000200 W weak_alias\n"
			   "ffffffff81000200 T strong_name\n"
			   "ffffffffc0001000 t ext4_readdir\t[ext4]\n"
			   "not a line\n"
			   "ffffffffc0002000 t last [mod]";
	assert_int_equal(read_text(&kallsyms, text, NULL), 0);
	assert_string_equal(name_at(&kallsyms, 0xffffffff80ffffffULL), "none");
	assert_string_equal(name_at(&kallsyms, 0xffffffff81000000ULL), "_stext");
	assert_string_equal(name_at(&kallsyms, 0xffffffff810000ffULL), "_stext");
	assert_string_equal(name_at(&kallsyms, 0xffffffff81000190ULL), "do_one_initcall");
	assert_string_equal(name_at(&kallsyms, 0xffffffff81000200ULL), "strong_name");
	assert_string_equal(name_at(&kallsyms, 0xffffffffc0001000ULL), "ext4_readdir");
	assert_string_equal(name_at(&kallsyms, 0xffffffffc0002fffULL), "last");
	kallsyms_deinit(&kallsyms);
}

static void test_kallsyms__hidden_addresses_are_said_to_be_hidden(void **state)
{
	(void)state;
	struct kallsyms kallsyms;
	struct cp_err err;
	const char *text = "0000000000000000 T _stext\n0000000000000000 t do_one_initcall\n";
	assert_int_equal(read_text(&kallsyms, text, &err), -EACCES);
	assert_non_null(strstr(err.message, "kptr_restrict"));
}

static void test_kallsyms__cold_parts_have_the_name_of_their_function(void **state)
{
	(void)state;
	struct kallsyms kallsyms;
	const char *text = "ffffffff81000000 T do_exit\n"
			   "ffffffff81000200 t do_exit.cold\n"
			   "ffffffffc0000000 t kvm_exit.part.0\t[kvm]\n";
	assert_int_equal(read_text(&kallsyms, text, NULL), 0);
	assert_string_equal(name_at(&kallsyms, 0xffffffff81000201), "do_exit");
	assert_string_equal(name_at(&kallsyms, 0xffffffffc0000000), "kvm_exit");
	kallsyms_deinit(&kallsyms);
}

static void test_kallsyms__files_without_symbols_are_refused(void **state)
{
	(void)state;
	struct kallsyms kallsyms;
	struct cp_err err;
	assert_int_equal(read_text(&kallsyms, "", &err), -ENODATA);
	assert_int_equal(read_text(&kallsyms, "\n\n 81 T\nffffffffffffffffff T x\n", &err),
			 -ENODATA);
	assert_int_equal(kallsyms_read(&kallsyms, "/nonexistent/kallsyms", &err), -ENOENT);
	assert_non_null(strstr(err.message, "/nonexistent/kallsyms"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kallsyms__text_symbols_reach_to_the_next_one),
		cmocka_unit_test(test_kallsyms__hidden_addresses_are_said_to_be_hidden),
		cmocka_unit_test(test_kallsyms__cold_parts_have_the_name_of_their_function),
		cmocka_unit_test(test_kallsyms__files_without_symbols_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
